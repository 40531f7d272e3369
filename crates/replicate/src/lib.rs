//! Replication of one feed with its peers, without IO.
