"""The finished dataset on disk.

<target>/
  {train,valid,test}/<ID>.jpg          or {split}_images.zip
  {split}_captions.csv                 {split}_concepts.csv, {split}_concepts_manual.csv
  test_images.csv                      all that is said of a held-out split
  cui_mapping.csv  license_information.csv  attribution.csv
  data/{split}-00000-of-00001.parquet  the convention of the Hugging Face Hub
  README.md  croissant.json            the dataset described
  report.html  manifest.json           how it was made
  SHA256SUMS
<target>-truth.zip                     captions, concepts and articles of the held-out split
<target>-truth.zip.sha256
"""

from __future__ import annotations

from dataset_builder.packaging.images import public_jpeg
from dataset_builder.packaging.installing import settle
from dataset_builder.packaging.options import PackageOptions
from dataset_builder.packaging.writing import Contents, write_dataset

__all__ = ["Contents", "PackageOptions", "public_jpeg", "settle", "write_dataset"]
