//! Fetching issuers' keys, on the control thread.
