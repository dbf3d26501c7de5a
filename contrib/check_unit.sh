#!/bin/sh
# Checks systemd/scanseal.service as a packager would find it installed: in a tree
# of its own, so that nothing of this machine makes it pass or fail.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/etc/systemd/system" "$tree/usr/bin" "$tree/usr/share/doc/scanseal" \
    "$tree/usr/lib/systemd/system" "$tree/srv/scans" "$tree/srv/dms" "$tree/srv/archive"
cp "$here/systemd/scanseal.service" "$tree/etc/systemd/system/"
touch "$tree/usr/share/doc/scanseal/README.md"
printf '#!/bin/sh\n' > "$tree/usr/bin/scanseal"
chmod 755 "$tree/usr/bin/scanseal"
for unit in sysinit.target basic.target shutdown.target multi-user.target network.target \
    time-set.target pcscd.socket system.slice -.mount; do
    for folder in /usr/lib/systemd/system /lib/systemd/system; do
        if [ -e "$folder/$unit" ]; then cp -L "$folder/$unit" "$tree/usr/lib/systemd/system/"; break; fi
    done
done
said=$(systemd-analyze verify --root="$tree" --man=no \
    "$tree/etc/systemd/system/scanseal.service" 2>&1) || { echo "$said" >&2; exit 1; }
if echo "$said" | grep -F scanseal.service >&2; then
    echo "systemd/scanseal.service: see above" >&2
    exit 1
fi
systemd-analyze security --offline=true --threshold=30 --no-pager \
    "$here/systemd/scanseal.service" | tail -n 1
