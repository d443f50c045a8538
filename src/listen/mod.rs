//! From the socket to HTTP: accept, handshake, connection.
