# The image in which the scoring programs of `rocov2-eval bundle codabench --image` run: docs/codabench.md.
# For workers with a GPU leave the extra index out: it has torch without CUDA.
FROM python:3.11-slim
COPY . /src
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu \
    -c /src/constraints.txt "/src[official,concepts]" && rm -rf /src
ENV HF_HOME=/opt/huggingface XDG_DATA_HOME=/opt/share
RUN rocov2-eval models fetch imageclef-2026
# COPY umls.zip /opt/umls.zip
ENV HF_HUB_OFFLINE=1
