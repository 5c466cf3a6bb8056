//! The metrics of what concerns the other nodes; part of [`Metrics`](crate::metrics::Metrics).

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};

/// Handles to all of them. Zero where a node is alone.
pub struct ClusterMetrics {
    /// Nodes in the view; 0: nobody knows.
    pub nodes: Gauge,
    /// Times it changed.
    pub view_changes: Counter,
    /// Seconds since the node said what it heard last of itself.
    pub heartbeat_age: Gauge,
    /// Times the node did not hear itself any more.
    pub bus_losses: Counter,
    /// Seconds for which it does not, now.
    pub bus_lost: Gauge,
    /// Announcements of other nodes that are not understood.
    pub not_understood: Counter,
    /// Rooms about which homes were asked.
    pub rooms_asked_about: Counter,
    /// Rooms of which the store had more than their readers here.
    pub rooms_noticed: Counter,
    /// Announcements that did not fit into an inbox.
    pub announcements_dropped: Counter,
}

impl ClusterMetrics {
    /// Resolves the handles from the recorder that is current now.
    pub(crate) fn new() -> Self {
        describe();
        Self {
            nodes: gauge!("madang_cluster_nodes"),
            view_changes: counter!("madang_cluster_view_changes_total"),
            heartbeat_age: gauge!("madang_cluster_heartbeat_age_seconds"),
            bus_losses: counter!("madang_cluster_bus_losses_total"),
            bus_lost: gauge!("madang_cluster_bus_lost_seconds"),
            not_understood: counter!("madang_cluster_announcements_not_understood_total"),
            rooms_asked_about: counter!("madang_cluster_rooms_asked_about_total"),
            rooms_noticed: counter!("madang_cluster_rooms_noticed_total"),
            announcements_dropped: counter!("madang_cluster_announcements_dropped_total"),
        }
    }
}

fn describe() {
    describe_gauge!("madang_cluster_nodes", "Nodes that are there, as this one hears it");
    describe_gauge!("madang_cluster_heartbeat_age_seconds", "Age of the last heartbeat heard");
    describe_gauge!("madang_cluster_bus_lost_seconds", "Time without hearing itself, if so now");
    for (name, help) in [
        ("madang_cluster_view_changes_total", "Times another set of nodes was there"),
        ("madang_cluster_bus_losses_total", "Times the node did not hear itself any more"),
        ("madang_cluster_announcements_not_understood_total", "Announcements of other versions"),
        ("madang_cluster_rooms_asked_about_total", "Rooms about which their homes were asked"),
        ("madang_cluster_rooms_noticed_total", "Rooms whose readers here were behind the store"),
        ("madang_cluster_announcements_dropped_total", "Announcements that were not taken"),
    ] {
        describe_counter!(name, help);
    }
}
