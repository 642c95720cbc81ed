# MXNet has no wheel for Apple silicon or Windows; this image runs there too, emulated where needed.
# Not built by the tests: they have no Docker.
#     docker build -t d2l-bn .
#     docker run --rm -v "$PWD/runs:/home/reader/d2l_bn/runs" d2l-bn
# `make grade ARGS="--image d2l-bn"` runs students' code in it, as a user without rights.
FROM --platform=linux/amd64 python:3.11-slim

RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ libgomp1 libquadmath0 make \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home reader && chmod 755 /home/reader
USER reader
WORKDIR /home/reader/d2l_bn
COPY --chown=reader . .
RUN make setup
ENV PATH=/home/reader/d2l_bn/.venv/bin:$PATH

CMD ["make", "lenet"]
