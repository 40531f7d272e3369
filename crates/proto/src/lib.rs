//! Generated protobuf types of the Dat wire and their validation.
