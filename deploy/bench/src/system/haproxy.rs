//! HAProxy with `jwt_verify`, and a comparison of the certificate's digest with the token's `cnf`.

use std::process::Command;

use anyhow::Result;

use super::Site;
use crate::issuer::{AUDIENCE, ISSUER};

/// The times, the issuer and the audience are compared by rules of ours: `jwt_verify` is the signature alone.
pub(super) fn command(site: &Site<'_>) -> Result<Command> {
    let (pki, issuer) = (&site.stage.pki, &site.stage.issuer);
    let text = format!(
        r#"global
    nbthread 1
    maxconn 9000
    log stdout format raw local0
defaults
    mode http
    log global
    option httplog
    timeout connect 5s
    timeout client 75s
    timeout server 30s
    http-reuse always
frontend api
    bind {address} ssl crt {both} ca-file {ca} verify required alpn h2,http/1.1 ssl-min-ver TLSv1.3
    http-request set-var(txn.token) http_auth_bearer
    http-request deny deny_status 401 unless {{ var(txn.token) -m found }}
    http-request deny deny_status 401 unless {{ var(txn.token),jwt_header_query('$.alg') -m str ES256 }}
    http-request deny deny_status 401 unless {{ var(txn.token),jwt_verify(ES256,{key}) -m int 1 }}
    http-request deny deny_status 401 unless {{ var(txn.token),jwt_payload_query('$.iss') -m str {ISSUER} }}
    http-request deny deny_status 401 unless {{ var(txn.token),jwt_payload_query('$.aud') -m str {AUDIENCE} }}
    http-request set-var(txn.exp) var(txn.token),jwt_payload_query('$.exp','int')
    http-request set-var(txn.now) date()
    http-request deny deny_status 401 unless {{ var(txn.exp),sub(txn.now) -m int gt 0 }}
    http-request set-var(txn.cnf) var(txn.token),jwt_payload_query('$.cnf.x5t#S256')
    http-request deny deny_status 401 unless {{ var(txn.cnf) -m found }}
    http-request deny deny_status 401 unless {{ ssl_c_der,sha2(256),ub64enc,strcmp(txn.cnf) eq 0 }}
    default_backend upstream
backend upstream
    server api {upstream}
"#,
        address = site.address,
        both = pki.server_both.display(),
        ca = pki.ca.display(),
        key = issuer.public_key_file.display(),
        upstream = site.stage.upstream,
    );
    let mut command = Command::new(site.program);
    command.arg("-f").arg(site.write("haproxy.cfg", &text)?);
    Ok(command)
}
