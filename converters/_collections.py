"""Where pictures lie: every set of them that sources share, as people have it on disk."""

from converters._coco import COCO
from converters._table import Collection, Folder

# images.zip unpacks to VG_100K and images2.zip to VG_100K_2; which of them holds a picture is known from its URL alone.
# GQA publishes the same pictures, and some more whose names begin with n, in one folder. Source: visualgenome.org,
# cs.stanford.edu/people/dorarad/gqa.
VG = Collection(
    name="vg",
    title="Visual Genome and GQA",
    folders=tuple(Folder(folder, r"(?P<id>n?[0-9]+)\.jpg") for folder in ("VG_100K", "VG_100K_2", "images")),
    numeric=False,
    told=True,
)

# The University of Illinois' archive unpacks to flickr30k-images; Kaggle's holds its folder twice over.
FLICKR30K = Collection(
    name="flickr30k",
    title="Flickr30k",
    folders=tuple(
        Folder(folder, r"(?P<id>[0-9]+)\.jpg")
        for folder in ("flickr30k-images", "flickr30k_images/flickr30k_images", "flickr30k_images", "images")
    ),
    numeric=False,
)

# TextVQA's archives, which TextCaps uses too: validation pictures lie in train_images. Source: textvqa.org.
OPENIMAGES = Collection(
    name="openimages",
    title="OpenImages, as TextVQA and TextCaps use it",
    folders=tuple(Folder(folder, r"(?P<id>[0-9a-f]{16})\.jpg") for folder in ("train_images", "test_images")),
    numeric=False,
)

# Book covers by ASIN. A list may have lost the leading zeros that a file's name has kept. Source: ocr-vqa.github.io.
OCRVQA = Collection(
    name="ocrvqa",
    title="OCR-VQA book covers",
    folders=(Folder("images", r"(?P<id>[A-Za-z0-9]+)\.(?:jpe?g|gif|png)"),),
    numeric=True,
)

ICONQA = Collection(
    name="iconqa",
    title="IconQA",
    folders=tuple(
        Folder(f"{folder}choose_txt", r"(?P<id>[0-9]+)/image\.png", nested=True)
        for folder in ("test/", "val/", "train/", "")
    ),
    numeric=False,
)

VIZWIZ = Collection(
    name="vizwiz",
    title="VizWiz",
    folders=tuple(
        Folder(folder, r"(?P<id>VizWiz_(?:train|val|test)_[0-9]{8})\.jpg") for folder in ("train", "val", "test")
    ),
    numeric=False,
)

# Ids in the lists are numbers without the zeros that file names have. Source: hatefulmemeschallenge.com.
HATEFUL_MEMES = Collection(
    name="hateful_memes",
    title="Hateful Memes",
    folders=(Folder("img", r"(?P<id>[0-9]{5})\.png"),),
    numeric=True,
)

# Source: github.com/Vision-CAIR/MiniGPT-4.
CC_SBU_ALIGN = Collection(
    name="cc_sbu_align",
    title="MiniGPT-4's aligned pictures",
    folders=(Folder("image", r"(?P<id>[0-9]+)\.jpg"),),
    numeric=False,
)

# images.zip as published, and what people unpack of it. Source: huggingface.co/datasets/liuhaotian.
LLAVA_PRETRAIN = Collection(
    name="llava_pretrain",
    title="LLaVA 1.5's pretraining pictures",
    folders=(Folder("images", r"[0-9]{5}/(?P<id>[0-9]+)\.jpg", nested=True),),
    numeric=False,
)
LLAVA_CC3M = Collection(
    name="llava_cc3m",
    title="LLaVA's pretraining pictures of CC3M",
    folders=(Folder("images", r"GCC_train_(?P<id>[0-9]+)\.jpg"),),
    numeric=False,
)

# Source: github.com/salesforce/LAVIS, lavis/datasets/download_scripts.
CC3M_LAVIS = Collection(
    name="cc3m_lavis",
    title="CC3M, downloaded by LAVIS",
    folders=tuple(Folder(folder, r"(?P<id>[0-9]+_[0-9]+)\.jpg") for folder in ("training", "validation")),
    numeric=False,
)

_WEB = (CC_SBU_ALIGN, LLAVA_PRETRAIN, LLAVA_CC3M, CC3M_LAVIS)
COLLECTIONS = {one.name: one for one in (COCO, VG, FLICKR30K, OPENIMAGES, OCRVQA, ICONQA, VIZWIZ, HATEFUL_MEMES, *_WEB)}
