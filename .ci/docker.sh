# Sourced by the scripts that need containers: a Docker daemon of their own, and stand-ins for base images that cannot be pulled.
#
# The daemon has a network namespace of its own, so it meets no other daemon's bridges or rules; a process reaches published ports with
# `in_docker_network`. It ends, with every container, image and volume, when the script does.

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# install PROGRAM:PACKAGE…: installs the Debian package of each program that is missing.
install() {
    local missing=() need
    for need; do
        [ -x "${need%%:*}" ] || command -v "${need%%:*}" >/dev/null || missing+=("${need##*:}")
    done
    [ ${#missing[@]} -eq 0 ] && return
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"
}

# docker_start FOLDER: sets DOCKER_HOST. Debian's own client comes first: it speaks BuildKit without a plug-in.
docker_start() {
    install /usr/bin/docker:docker.io docker-compose:docker-compose ip:iproute2 iptables:iptables unshare:util-linux
    docker_folder=$1
    mkdir -p "$docker_folder"
    as_root mount -t tmpfs -o size=6g,mode=711 boundgate-ci "$docker_folder" # in memory: a disk takes minutes for what lives so short
    export PATH=/usr/bin:/usr/sbin:$PATH DOCKER_HOST=unix://$docker_folder/docker.sock DOCKER_BUILDKIT=1 DOCKER_CONFIG=$docker_folder/config
    export COMPOSE_DOCKER_CLI_BUILD=1 BUILDKIT_PROGRESS=plain
    # shellcheck disable=SC2016
    as_root unshare --net sh -c 'ip link set lo up && exec dockerd "$@"' dockerd --host "$DOCKER_HOST" \
        --data-root "$docker_folder/data" --exec-root "$docker_folder/exec" --pidfile "$docker_folder/dockerd.pid" \
        >"$docker_folder/log" 2>&1 &
    for _ in $(seq 120); do
        docker version >/dev/null 2>&1 && return
        sleep 0.5
    done
    tail -n 20 "$docker_folder/log" >&2
    return 1
}

# docker_stop: ends what still runs, then the daemon, and removes its folder.
docker_stop() {
    [ -n "${docker_folder:-}" ] || return 0
    local pid containers
    if pid=$(cat "$docker_folder/dockerd.pid" 2>/dev/null); then
        containers=$(docker ps --quiet 2>/dev/null) || containers=
        # shellcheck disable=SC2086
        [ -z "$containers" ] || docker kill $containers >/dev/null 2>&1 || true
        as_root kill "$pid" 2>/dev/null || true
        for _ in $(seq 60); do
            as_root kill -0 "$pid" 2>/dev/null || break
            sleep 0.5
        done
    fi
    as_root umount --recursive "$docker_folder" 2>/dev/null || as_root umount --lazy "$docker_folder" || true
    as_root rm -rf "$docker_folder"
}

# in_docker_network COMMAND…: runs it where the daemon's published ports and container addresses are.
in_docker_network() {
    as_root nsenter --net="/proc/$(cat "$docker_folder/dockerd.pid")/ns/net" "$@"
}

# machine_root PACKAGE…: a tar of these packages as they are installed on this machine, and of all that they need, on standard output.
machine_root() {
    local packages list
    list=$(mktemp)
    packages=$(apt-cache depends --recurse --installed --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
        --no-enhances base-files bash coreutils dash diffutils findutils gawk grep gzip libc-bin mawk sed tar "$@" |
        sed -n 's/^\([a-z0-9][^ :]*\).*/\1/p' | sort -u)
    {
        printf '%s\n' /bin /lib /lib64 /sbin /etc/passwd /etc/group /etc/nsswitch.conf /etc/ssl/certs/ca-certificates.crt /etc/alternatives \
            /usr/bin/awk /var/lib/dpkg/status
        # Virtual packages among them have no files, which dpkg-query takes for a failure.
        # shellcheck disable=SC2086
        { dpkg-query --listfiles $packages 2>/dev/null || true; } | grep -vE '^/usr/(bin/promtool$|share/(man|locale|javascript|fonts|info)/)'
    } | sed -E 's#^/(bin|sbin|lib|lib64)/#/usr/\1/#' | sort -u | while IFS= read -r path; do
        [ -e "$path" ] || [ -L "$path" ] || continue
        printf '%s\n' "${path#/}"
    done >"$list"
    tar --create --directory / --no-recursion --owner 0 --group 0 --files-from "$list"
    rm -f "$list"
}
