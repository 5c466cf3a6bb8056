use super::*;

fn pairs(given: &[(&str, &str)]) -> Vec<(String, String)> {
    given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn merge(
    file: &str,
    environment: &[(&str, &str)],
    flags: &[(&str, &str)],
) -> Result<Settings, SettingsError> {
    Settings::merge(Some(("madang.toml", file)), &pairs(environment), &pairs(flags))
}

#[test]
fn flag_before_environment_before_file_before_default() {
    let file = "frames_per_second = 1";
    let environment = [("MADANG_FRAMES_PER_SECOND", "2"), ("PATH", "x"), ("MADANG_CONFIG", "y")];
    let flags = [("frames_per_second", "3")];
    for (settings, holds) in [
        (merge("", &[], &[]), 50),
        (merge(file, &[], &[]), 1),
        (merge(file, &environment, &[]), 2),
        (merge(file, &environment, &flags), 3),
        (merge("", &[], &flags), 3),
    ] {
        assert_eq!(settings.unwrap().frames_per_second, holds);
    }
}

#[test]
fn every_type_is_read_alike_from_every_place() {
    let file = r#"
        listen = "[::1]:9"
        metrics_listen = "127.0.0.1:9"
        data_dir = "/d"
        log = "debug"
        log_format = "json"
        signup = false
        allowed_origins = ["https://a.b", "http://c:8"]
        outbox_bytes_max = 2_000_000
        trusted_proxies = ["::ffff:10.0.0.0/104", "2001:db8::1", "::ffff:192.0.2.1", "::/0"]
        api_keys = ["0123456789abcdef", "fedcba9876543210"]
    "#;
    let texts = [
        ("listen", "[::1]:9"),
        ("metrics_listen", "127.0.0.1:9"),
        ("data_dir", "/d"),
        ("log", "debug"),
        ("log_format", "json"),
        ("signup", "false"),
        ("allowed_origins", "https://a.b, http://c:8"),
        ("outbox_bytes_max", "2_000_000"),
        ("trusted_proxies", "10.0.0.0/8,2001:db8::1/128,192.0.2.1/32,::/0"),
        ("api_keys", "0123456789abcdef, fedcba9876543210"),
    ];
    let from_file = merge(file, &[], &[]).unwrap();
    assert_eq!(from_file.log_format, LogFormat::Json);
    assert_eq!(from_file.allowed_origins, ["https://a.b", "http://c:8"]);
    assert_eq!(merge("", &[], &texts).unwrap(), from_file);
}

#[test]
fn what_is_shown_reads_as_the_same() {
    let defaults = merge("", &[], &[]).unwrap();
    assert_eq!(defaults, Settings::default());
    assert_eq!(merge(&defaults.to_toml(), &[], &[]).unwrap(), defaults);
    let changed = merge(
        "",
        &[],
        &[
            ("metrics_listen", "127.0.0.1:1"),
            ("allowed_origins", "*"),
            ("signup", "false"),
            ("trusted_proxies", "10.0.0.0/8,::1"),
        ],
    );
    let changed = changed.unwrap();
    assert_eq!(merge(&changed.to_toml(), &[], &[]).unwrap(), changed);
}

#[test]
fn defaults_lie_within_their_ranges() {
    // Shown and read again, every default passes its range check.
    assert_eq!(merge(&Settings::default().to_toml(), &[], &[]), Ok(Settings::default()));
}

#[test]
fn every_refusal_names_key_and_value() {
    let environment = |name, value| merge("", &[(name, value)], &[]);
    let flag = |name, value| merge("", &[], &[(name, value)]);
    let cases = [
        // Unknown.
        (merge("frame_rate = 7", &[], &[]), "frame_rate", "7"),
        (merge("[listen]\nport = 8080", &[], &[]), "listen", "8080"),
        (environment("MADANG_FRAME_RATE", "7"), "frame_rate", "7"),
        (environment("MADANG_listen", "[::]:1"), "madang_listen", "[::]:1"),
        // Of the wrong type.
        (merge("listen = 8080", &[], &[]), "listen", "8080"),
        (merge("signup = \"yes\"", &[], &[]), "signup", "yes"),
        (merge("frames_burst = -1", &[], &[]), "frames_burst", "-1"),
        (merge("frames_burst = 1.5", &[], &[]), "frames_burst", "1.5"),
        (merge("allowed_origins = \"*\"", &[], &[]), "allowed_origins", "*"),
        (environment("MADANG_SIGNUP", "no"), "signup", "no"),
        (environment("MADANG_DATA_DIR", ""), "data_dir", "\"\""),
        (flag("listen", "8080"), "listen", "8080"),
        (flag("frames_per_second", "many"), "frames_per_second", "many"),
        (flag("log_format", "xml"), "log_format", "xml"),
        // Out of range.
        (merge("store_arbiters = 65", &[], &[]), "store_arbiters", "65"),
        (environment("MADANG_SESSION_DAYS", "0"), "session_days", "0"),
        (flag("edge_arbiters", "257"), "edge_arbiters", "257"),
        (flag("frames_per_second", "99999999999"), "frames_per_second", "99999999999"),
        // Unusable in itself.
        (flag("log", "loud=="), "log", "loud=="),
        (flag("allowed_origins", "https://a/b"), "allowed_origins", "https://a/b"),
        (flag("allowed_origins", "example.org"), "allowed_origins", "example.org"),
        (flag("trusted_proxies", "10.0.0.1,proxy"), "trusted_proxies", "proxy"),
        (merge("trusted_proxies = [\"10.0.0.0/33\"]", &[], &[]), "trusted_proxies", "/33"),
        // Contradictions.
        (flag("metrics_listen", "127.0.0.1:8080"), "metrics_listen", "127.0.0.1:8080"),
        (flag("admin_listen", "127.0.0.1:8080"), "admin_listen", "same as listen"),
        (flag("metrics_listen", "127.0.0.1:8081"), "admin_listen", "same as metrics_listen"),
        (flag("tls_cert", "c.pem"), "tls_cert", "c.pem: needs tls_key"),
        (flag("tls_key", "k.pem"), "tls_key", "k.pem: needs tls_cert"),
        (flag("send_wait_ms", "30000"), "send_wait_ms", "30000"),
        (flag("request_timeout_ms", "6000"), "send_wait_ms", "request_timeout_ms = 6000"),
        (flag("frame_bytes_max", "1000"), "body_bytes_max", "frame_bytes_max = 1000"),
        (flag("outbox_bytes_max", "1000"), "outbox_bytes_max", "body_bytes_max = 16384"),
        (flag("outbox_frames_max", "8"), "outbox_frames_max", "at least 1024"),
        (flag("session_recheck_ms", "1"), "session_recheck_ms", "0 or at least 10"),
        (flag("last_seen_flush_ms", "9"), "last_seen_flush_ms", "0 or at least 10"),
        (flag("max_connections_per_address", "100001"), "max_connections_per_address", "100001"),
    ];
    for (refused, key, value) in cases {
        let message = refused.expect_err(key).to_string();
        assert!(message.contains(key) && message.contains(value), "{message}");
    }
}

#[test]
fn an_overridden_value_is_still_checked() {
    let refused = merge("frames_burst = \"x\"", &[], &[("frames_burst", "1")]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "frames_burst = \"x\" (settings file madang.toml): must be a whole number, 0 or more"
    );
}

#[test]
fn zero_switches_off_without_contradiction() {
    for name in ["send_wait_ms", "frame_bytes_max", "outbox_bytes_max", "max_connections"] {
        assert_eq!(merge("", &[], &[(name, "0")]).err(), None, "{name}");
    }
}

#[test]
fn a_missing_or_broken_file_is_named() {
    let missing = Given { file: Some("no/such/file.toml".to_owned()), ..Given::default() };
    assert!(Settings::load(&missing).unwrap_err().to_string().contains("no/such/file.toml"));
    let message = merge("listen = ", &[], &[]).unwrap_err().to_string();
    assert!(message.starts_with("settings file madang.toml: "), "{message}");
}

#[test]
fn a_secret_is_shown_to_nobody() {
    const SECRET: &str = "s3cret-s3cret-s3cret";
    let settings = merge("", &[("MADANG_API_KEYS", SECRET)], &[]).unwrap();
    assert_eq!(settings.api_keys.reveal(), [SECRET]);
    let shown = settings.to_toml();
    assert!(shown.contains("\n# api_keys is set, and not shown\n"), "{shown}");
    assert_eq!(merge(&shown, &[], &[]), Ok(Settings::default()));
    assert!(!format!("{settings:?}{shown}").contains("s3cret"));

    let quoted = format!("\"{SECRET}\"");
    for (refused, key) in [
        (merge("", &[("MADANG_API_KEYS", "s3cret-too-short,x")], &[]), "api_keys"),
        (merge("", &[("MADANG_API_KEYS", "s3cret with blanks in it")], &[]), "api_keys"),
        (merge("", &[("MADANG_API_KEY", SECRET)], &[]), "api_key"),
        (merge("", &[], &[("api_keys", "s3cret")]), "api_keys"),
        (merge("api_keys = [\"s3cret\"]", &[], &[]), "api_keys"),
        (merge(&format!("api_keys = {quoted}"), &[], &[]), "api_keys"),
        (merge(&format!("api_keys = [[{quoted}]]"), &[], &[]), "api_keys"),
        (merge(&format!("api-keys = [{quoted}]"), &[], &[]), "api-keys"),
        (merge(&format!("\n\napi_keys = [{quoted}"), &[], &[]), "line 3"),
        (merge(&format!("api_keys = [{quoted}] {SECRET}"), &[], &[]), "line 1"),
        (merge(&format!("api_keys = {SECRET}"), &[], &[]), "line 1"),
    ] {
        let message = refused.expect_err(key).to_string();
        assert!(message.contains(key) && !message.contains("s3cret"), "{message}");
    }
}
