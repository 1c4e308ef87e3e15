# To be sourced: a Debian of another machine, in a folder that is kept between runs.
#
# make_debian FOLDER ARCHITECTURE PACKAGE,PACKAGE...   native ones whole, others unpacked only
# enter_debian FOLDER COMMAND...                       run a command in it, with the checkout as /mnt
#
# The folder gets nothing of this machine mounted but the checkout and a new /proc, in a space of its
# own that ends with the command.  Its /dev is its own.
cache=${BACKPORTS_MAKEFILE_CACHE:-/var/cache/backports-makefile}
suite=bookworm

make_debian() {
    local folder=$cache/$1 architecture=$2 packages=$3 mirror archive
    [ ! -e "$folder/complete" ] || return 0
    [ "$(id -u)" = 0 ] && [ -n "$(command -v debootstrap)" ] || {
        echo "This needs root and debootstrap (Debian: apt-get install debootstrap)." >&2
        return 1
    }
    mirror=$(sed -nE 's,^(URIs: |deb (\[[^]]*\] )?)(https?://[^ ]*).*,\3,p' \
        /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -v security | head -n 1)
    rm -rf --one-file-system "$folder"
    mkdir -p "$folder"
    if [ "$architecture" = i386 ]; then
        debootstrap --variant=minbase --arch="$architecture" --include="$packages" "$suite" "$folder" \
            "$mirror" >"$folder.log" 2>&1 || { tail "$folder.log" >&2; return 1; }
        cp /etc/resolv.conf /etc/hosts "$folder/etc/"
        cp /etc/ssl/certs/ca-certificates.crt "$folder/etc/ssl/certs/"
    else
        debootstrap --foreign --variant=minbase --arch="$architecture" --include="$packages" "$suite" \
            "$folder" "$mirror" >"$folder.log" 2>&1 || { tail "$folder.log" >&2; return 1; }
        for archive in "$folder"/var/cache/apt/archives/*.deb; do
            dpkg-deb -x "$archive" "$folder"
        done
    fi
    rm -f "$folder"/var/cache/apt/archives/*.deb
    touch "$folder/complete"
}

enter_debian() {
    local folder=$cache/$1
    shift
    # shellcheck disable=SC2016 # expanded inside
    unshare --mount --propagation private --pid --fork --kill-child bash -ec '
        folder=$1 checkout=$2
        shift 2
        mount -t proc proc "$folder/proc"
        mount --bind "$checkout" "$folder/mnt"
        exec chroot "$folder" env -i PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/root LANG=C.UTF-8 \
            PIP_CERT=/etc/ssl/certs/ca-certificates.crt PIP_ROOT_USER_ACTION=ignore \
            PIP_DISABLE_PIP_VERSION_CHECK=1 SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" \
            sh -c "cd /mnt && exec \"\$@\"" sh "$@"' bash "$folder" "$PWD" "$@"
}
