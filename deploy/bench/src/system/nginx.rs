//! nginx as a proxy that asks for a client's certificate and for no token, with its default access log.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::Result;

use super::Site;

/// One worker, connections kept on both sides. The second server passes bodies on as they come.
pub(super) fn command(site: &Site<'_>, unbuffered: SocketAddr) -> Result<Command> {
    let pki = &site.stage.pki;
    let server = |address: SocketAddr, more: &str| {
        format!(
            "    server {{\n        listen {address} ssl http2 backlog=4096;\n        location / {{ proxy_pass http://api; {more} }}\n    }}\n"
        )
    };
    let text = format!(
        r#"{user}daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 30000; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 0;
    keepalive_requests 1000000000;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_client_certificate {ca};
    ssl_verify_client on;
    ssl_protocols TLSv1.3;
    upstream api {{ server {upstream}; keepalive 256; keepalive_requests 1000000000; }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
{plain}{unbuffered}}}
"#,
        user = if rustix::process::geteuid().is_root() { "user root;\n" } else { "" },
        folder = site.folder.display(),
        certificate = pki.server_certificate.display(),
        key = pki.server_key.display(),
        ca = pki.ca.display(),
        upstream = site.stage.upstream,
        plain = server(site.address, ""),
        unbuffered = server(unbuffered, "proxy_buffering off; proxy_request_buffering off;"),
    );
    let mut command = Command::new(site.program);
    command.arg("-p").arg(site.folder).arg("-c").arg(site.write("nginx.conf", &text)?);
    command.arg("-e").arg(site.folder.join("error.log"));
    Ok(command)
}
