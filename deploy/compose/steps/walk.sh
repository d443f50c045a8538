# Sourced by the walks: what a step says, calls and checks. A walk ends with its first step that does not come out as it should.
set -euo pipefail
cd /certs
token_endpoint=https://authorization-server:9443/token
work=$(mktemp -d)

step() { printf '\n\033[1m%s\033[0m\n' "$*"; }
say() { printf '   %s\n' "$*"; }
fail() { printf '   \033[31m✗ %s\033[0m\n' "$*"; exit 1; }
ok() { printf '   \033[32m✓ %s\033[0m\n' "$*"; }

# call CURL-ARGUMENT…: prints the line (a token as $TOKEN) and makes the call. Then $status, $body and $headers are its answer.
call() {
    local shown=() argument
    for argument; do
        [ -z "${token:-}" ] || argument=${argument//"$token"/\$TOKEN}
        case $argument in *[\ \&]*) argument="'$argument'" ;; esac
        shown+=("$argument")
    done
    say "\$ curl --cacert ca.pem ${shown[*]}"
    status=$(curl --silent --show-error --max-time 15 --cacert ca.pem --output "$work/body" --dump-header "$work/headers" --write-out '%{http_code}' "$@") ||
        fail 'no answer'
    body=$(<"$work/body")
    headers=$(<"$work/headers")
}

# member NAME: of the JSON on standard input, a string (the first of this name).
member() { tr -d '\n' | sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"; }

# expect STATUS [REASON]: what the last call must have come to.
expect() {
    local reason
    reason=$(member reason <"$work/body")
    [ "$status $reason" = "$1 ${2:-}" ] || fail "$status $reason, not $1 ${2:-}: $body"
    ok "$status${2:+ $2}"
    [ -z "${2:-}" ] || say "“$(member detail <"$work/body")”"
}

# thumbprint CERTIFICATE: its x5t#S256 (RFC 8705 §3.1).
thumbprint() { openssl x509 -in "$1" -outform DER | openssl dgst -sha256 -binary | base64 | tr '/+' '_-' | tr -d '='; }

# claims JWT: its payload.
claims() {
    local payload
    payload=$(cut -d . -f 2 <<<"$1" | tr '_-' '/+')
    while [ $((${#payload} % 4)) -ne 0 ]; do payload+='='; done
    base64 --decode <<<"$payload"
}

# obtain CLIENT: a token from the authorization server, with the client's certificate, into $token.
obtain() {
    token=
    call --cert "$1.pem" --key "$1.key" -d grant_type=client_credentials -d client_id="$1" -d scope=read -d resource=https://api.example.com "$token_endpoint"
    expect 200
    token=$(member access_token <<<"$body")
    [ -n "$token" ] || fail "no token: $body"
}
