//! What passwords and display names may be.

/// A password: bytes of UTF-8.
const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 8..=256;
/// A display name: characters at most.
const DISPLAY_NAME_CHARS_MAX: usize = 64;

/// Why `password` cannot be one. Any characters are allowed; only the length is limited.
pub fn check_password(password: &str) -> Result<(), &'static str> {
    match PASSWORD_BYTES.contains(&password.len()) {
        true => Ok(()),
        false => Err("must be 8 to 256 bytes long"),
    }
}

/// Why `name` cannot be shown.
pub fn check_display_name(name: &str) -> Result<(), &'static str> {
    if name.trim().is_empty() || name.chars().nth(DISPLAY_NAME_CHARS_MAX).is_some() {
        return Err("must be 1 to 64 characters long");
    }
    match name.chars().any(char::is_control) {
        true => Err("must not have control characters"),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_length_in_bytes() {
        for (password, allowed) in [
            ("", false),
            ("1234567", false),
            ("12345678", true),
            ("пароль", true),
            (&*"x".repeat(256), true),
            (&*"x".repeat(257), false),
        ] {
            assert_eq!(check_password(password).is_ok(), allowed, "{password}");
        }
    }

    #[test]
    fn display_name_length_in_characters() {
        for (name, allowed) in [
            ("", false),
            (" \u{a0}", false),
            ("A", true),
            ("Ann Ångström 👋", true),
            (&*"é".repeat(64), true),
            (&*"é".repeat(65), false),
            ("a\nb", false),
        ] {
            assert_eq!(check_display_name(name).is_ok(), allowed, "{name}");
        }
    }
}
