//! What the program does as a process: its environment, its files, its pipes.

mod environment;
mod keys;
mod pipes;
mod running;
mod support;
