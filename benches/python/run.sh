#!/bin/sh
# Measures what ckpt costs a Python program that counts per user, against the same Python code in a loop over the same file.
#
#     cargo build --release
#     benches/python/run.sh target/release/ckpt FILE.jsonl
#
# The file has a JSON object a line with a field `user`; `cargo run --release --example generate -- DIR 2000000 1` makes one.
set -eu
ckpt=$(realpath "$1")
file=$(realpath "$2")
here=$(realpath "$(dirname "$0")")
export PYTHONPATH="$here/../../python" PYTHONDONTWRITEBYTECODE=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/count.py" "$work"
python3 "$here/plain.py" "$file"
for threads in 1 2; do
    rm -rf "$work/checkpoints"
    echo "ckpt, $threads workers:"
    "$ckpt" run --quiet --threads $threads "$work/count.py" "$file" | grep -E 'records|keys|checkpoints'
done
