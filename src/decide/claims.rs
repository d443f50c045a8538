//! The claims of a token, read once and strictly.
