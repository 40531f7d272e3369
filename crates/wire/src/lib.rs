//! Dat wires A and B2: handshake, cipher, frames, channels, messages.
