# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_boundgate_global_optspecs
    string join \n h/help V/version
end

function __fish_boundgate_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_boundgate_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_boundgate_using_subcommand
    set -l cmd (__fish_boundgate_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c boundgate -n "__fish_boundgate_needs_command" -s h -l help -d 'Print help'
complete -c boundgate -n "__fish_boundgate_needs_command" -s V -l version -d 'Print version'
complete -c boundgate -n "__fish_boundgate_needs_command" -f -a "run" -d 'Run the sidecar'
complete -c boundgate -n "__fish_boundgate_needs_command" -f -a "check" -d 'Validate the configuration and every file it names, and print what would run'
complete -c boundgate -n "__fish_boundgate_needs_command" -f -a "demo" -d 'Show what Boundgate does: certificates, an authorization server, an API and the sidecar, all on loopback'
complete -c boundgate -n "__fish_boundgate_needs_command" -f -a "certs" -d 'Write a development CA, a server certificate and two client certificates'
complete -c boundgate -n "__fish_boundgate_needs_command" -f -a "thumbprint" -d 'Print a certificate\'s x5t#S256'
complete -c boundgate -n "__fish_boundgate_needs_command" -f -a "explain" -d 'Decide about one token without network, and show every check with its outcome'
complete -c boundgate -n "__fish_boundgate_needs_command" -f -a "health" -d 'Ask the running sidecar\'s /readyz'
complete -c boundgate -n "__fish_boundgate_needs_command" -f -a "drain" -d 'Tell the running sidecar to drain and end, as SIGTERM does'
complete -c boundgate -n "__fish_boundgate_needs_command" -f -a "completions" -d 'Print the completions of this command line for a shell'
complete -c boundgate -n "__fish_boundgate_needs_command" -f -a "man" -d 'Write the manual pages'
complete -c boundgate -n "__fish_boundgate_needs_command" -f -a "reference" -d 'Write the generated pages of docs/'
complete -c boundgate -n "__fish_boundgate_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c boundgate -n "__fish_boundgate_using_subcommand run" -l config -d 'The configuration file' -r -F
complete -c boundgate -n "__fish_boundgate_using_subcommand run" -s h -l help -d 'Print help'
complete -c boundgate -n "__fish_boundgate_using_subcommand check" -l config -d 'The configuration file' -r -F
complete -c boundgate -n "__fish_boundgate_using_subcommand check" -s h -l help -d 'Print help'
complete -c boundgate -n "__fish_boundgate_using_subcommand demo" -l once -d 'Exit after the walk, with 0 only if every step came out as it should'
complete -c boundgate -n "__fish_boundgate_using_subcommand demo" -s h -l help -d 'Print help'
complete -c boundgate -n "__fish_boundgate_using_subcommand certs" -s h -l help -d 'Print help'
complete -c boundgate -n "__fish_boundgate_using_subcommand thumbprint" -l hex -d 'As `openssl x509 -fingerprint -sha256` has it'
complete -c boundgate -n "__fish_boundgate_using_subcommand thumbprint" -s h -l help -d 'Print help'
complete -c boundgate -n "__fish_boundgate_using_subcommand explain" -l config -d 'The configuration file' -r -F
complete -c boundgate -n "__fish_boundgate_using_subcommand explain" -l token -d 'The access token, without \'Bearer \'; - reads standard input, which keeps it out of the list of processes' -r
complete -c boundgate -n "__fish_boundgate_using_subcommand explain" -l cert -d 'A client certificate, PEM (leaf first) or DER; the first is the connection\'s, all are compared with the token' -r -F
complete -c boundgate -n "__fish_boundgate_using_subcommand explain" -l method -d 'The request\'s method' -r
complete -c boundgate -n "__fish_boundgate_using_subcommand explain" -l path -d 'The request\'s path; without it the token is judged for a route that needs a token and no scopes' -r
complete -c boundgate -n "__fish_boundgate_using_subcommand explain" -l jwks -d 'The issuer\'s key set, as fetched from its jwks_uri' -r -F
complete -c boundgate -n "__fish_boundgate_using_subcommand explain" -l json -d 'One JSON object, for scripts'
complete -c boundgate -n "__fish_boundgate_using_subcommand explain" -s h -l help -d 'Print help'
complete -c boundgate -n "__fish_boundgate_using_subcommand health" -l config -d 'The configuration file' -r -F
complete -c boundgate -n "__fish_boundgate_using_subcommand health" -s h -l help -d 'Print help'
complete -c boundgate -n "__fish_boundgate_using_subcommand drain" -l config -d 'The configuration file' -r -F
complete -c boundgate -n "__fish_boundgate_using_subcommand drain" -s h -l help -d 'Print help'
complete -c boundgate -n "__fish_boundgate_using_subcommand completions" -s h -l help -d 'Print help'
complete -c boundgate -n "__fish_boundgate_using_subcommand man" -s h -l help -d 'Print help'
complete -c boundgate -n "__fish_boundgate_using_subcommand reference" -s h -l help -d 'Print help'
complete -c boundgate -n "__fish_boundgate_using_subcommand help; and not __fish_seen_subcommand_from run check demo certs thumbprint explain health drain completions man reference help" -f -a "run" -d 'Run the sidecar'
complete -c boundgate -n "__fish_boundgate_using_subcommand help; and not __fish_seen_subcommand_from run check demo certs thumbprint explain health drain completions man reference help" -f -a "check" -d 'Validate the configuration and every file it names, and print what would run'
complete -c boundgate -n "__fish_boundgate_using_subcommand help; and not __fish_seen_subcommand_from run check demo certs thumbprint explain health drain completions man reference help" -f -a "demo" -d 'Show what Boundgate does: certificates, an authorization server, an API and the sidecar, all on loopback'
complete -c boundgate -n "__fish_boundgate_using_subcommand help; and not __fish_seen_subcommand_from run check demo certs thumbprint explain health drain completions man reference help" -f -a "certs" -d 'Write a development CA, a server certificate and two client certificates'
complete -c boundgate -n "__fish_boundgate_using_subcommand help; and not __fish_seen_subcommand_from run check demo certs thumbprint explain health drain completions man reference help" -f -a "thumbprint" -d 'Print a certificate\'s x5t#S256'
complete -c boundgate -n "__fish_boundgate_using_subcommand help; and not __fish_seen_subcommand_from run check demo certs thumbprint explain health drain completions man reference help" -f -a "explain" -d 'Decide about one token without network, and show every check with its outcome'
complete -c boundgate -n "__fish_boundgate_using_subcommand help; and not __fish_seen_subcommand_from run check demo certs thumbprint explain health drain completions man reference help" -f -a "health" -d 'Ask the running sidecar\'s /readyz'
complete -c boundgate -n "__fish_boundgate_using_subcommand help; and not __fish_seen_subcommand_from run check demo certs thumbprint explain health drain completions man reference help" -f -a "drain" -d 'Tell the running sidecar to drain and end, as SIGTERM does'
complete -c boundgate -n "__fish_boundgate_using_subcommand help; and not __fish_seen_subcommand_from run check demo certs thumbprint explain health drain completions man reference help" -f -a "completions" -d 'Print the completions of this command line for a shell'
complete -c boundgate -n "__fish_boundgate_using_subcommand help; and not __fish_seen_subcommand_from run check demo certs thumbprint explain health drain completions man reference help" -f -a "man" -d 'Write the manual pages'
complete -c boundgate -n "__fish_boundgate_using_subcommand help; and not __fish_seen_subcommand_from run check demo certs thumbprint explain health drain completions man reference help" -f -a "reference" -d 'Write the generated pages of docs/'
complete -c boundgate -n "__fish_boundgate_using_subcommand help; and not __fish_seen_subcommand_from run check demo certs thumbprint explain health drain completions man reference help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
