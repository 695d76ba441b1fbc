"""MiniGPT-v2 at any size, put together out of transformers' and peft's parts."""
