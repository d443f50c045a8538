//! The demo: an embedded authorization server, a PKI and an echo API. Never reached from the proxy.
