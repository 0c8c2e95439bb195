//! The daemon as a process: the real binary in a folder of its own, asked over its sockets, told by
//! signals and read by its log. Needs neither root nor anything installed but a shell.

mod client;
mod faults;
mod mta;
mod page;
mod process;
mod site;

mod answers;
mod broken_requests;
mod command_line;
mod corners;
mod deeds;
mod drain;
mod explain;
mod export;

mod limits;
mod logs;
mod milter_door;
mod milter_drain;
mod milter_packets;
mod milter_told;
mod pages;
mod reload;
mod rights;
mod sockets;
mod systemd;
mod taken_paths;
