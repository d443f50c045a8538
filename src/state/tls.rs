//! The listener's TLS configuration.
