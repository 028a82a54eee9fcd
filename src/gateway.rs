//! What stands between the socket and the services: who may connect, over what, who calls, how much
//! at once, and what is noted of each call. It knows no plan.

pub mod calls;
