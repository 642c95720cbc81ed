# Runs natively on x86-64 and on 64-bit Arm, so on Apple silicon, too.
# Not built by the tests: they have no Docker.
#     docker build -t d2l-bn .
#     docker run --rm -v "$PWD/runs:/home/reader/d2l_bn/runs" d2l-bn
# classroom/teacher.md says how to mark a class in it.
FROM python:3.11-slim AS machine

COPY d2l_bn/libraries.py /tmp/
RUN apt-get update \
    && apt-get install -y --no-install-recommends bubblewrap g++ git make $(python3 /tmp/libraries.py --packages) \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home reader && chmod 755 /home/reader
USER reader

FROM machine

WORKDIR /home/reader/d2l_bn
COPY --chown=reader . .
RUN make setup
ENV PATH=/home/reader/d2l_bn/.venv/bin:$PATH

CMD ["make", "lenet"]
