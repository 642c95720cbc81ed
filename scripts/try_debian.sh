#!/usr/bin/env bash
# Try the README's commands on a bare Debian, built here from its packages; that of another processor
# runs under qemu-user. FOLDER is made once and kept. As root, with debootstrap and qemu-user-static:
#     scripts/try_debian.sh arm64 FOLDER    # amd64 takes minutes, arm64 on another processor an hour
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# = 2 ] || { sed -n 2,4p "$0" >&2; exit 2; }
root=$(realpath -m "$2")

if [ "${unshared:-}" = "" ]; then # so that all mounts end with this
    unshared=1 exec unshare --mount "$0" "$@"
fi
if [ "$1" = arm64 ] && [ "$(uname -m)" != aarch64 ]; then
    formats=/proc/sys/fs/binfmt_misc
    [ -e $formats/register ] || mount -t binfmt_misc binfmt_misc $formats
    [ -e $formats/qemu-aarch64 ] || cat /usr/lib/binfmt.d/qemu-aarch64.conf >$formats/register
fi
if [ ! -e "$root/home/reader" ]; then # a bare one
    debootstrap --arch="$1" --variant=minbase --include=ca-certificates,git,make,python3,python3-venv \
        "${SUITE:-bookworm}" "$root"
    chroot "$root" useradd --create-home reader
fi
cp /etc/resolv.conf "$root/etc/"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/" # a proxy may have its own
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
rm -rf "$root/home/reader/d2l_bn"
git clone -q --no-hardlinks . "$root/home/reader/d2l_bn"
chroot "$root" chown -R reader: /home/reader/d2l_bn

reader() { # a command of the reader's, in the clone
    echo "== $*"
    local start=$SECONDS code=0
    chroot "$root" setpriv --reuid=reader --regid=reader --clear-groups \
        env HOME=/home/reader sh -c "cd ~/d2l_bn && $*" || code=$?
    echo "== $((SECONDS - start)) s"
    return $code
}

reader uname -m
if ! reader make setup 2>&1 | tee "$root/message"; then # it names what is missing
    packages=$(sed -n 's/.*apt-get install //p' "$root/message")
    chroot "$root" sh -c "apt-get update -qq && apt-get install -y -qq --no-install-recommends $packages g++"
fi
reader make lenet 'ARGS="--data sample --epochs 2"'
reader cat runs/lenet/history.csv
reader .venv/bin/python -m d2l_bn about
reader make test "ARGS='${TESTS:-tests/nn}'"
reader python3 scripts/setup_venv.py .venv onnx
reader .venv/bin/python -m d2l_bn export runs/lenet runs/lenet.onnx
