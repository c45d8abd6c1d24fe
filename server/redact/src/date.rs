//! IMF-fixdate (RFC 9110, section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`, to seconds and back.
//!
//! Accepts only what it would write itself, years 1970 to 9999, so that nothing is lost in the store. The two obsolete
//! formats are left to the caller, as text.

/// Seconds since 1970 of an IMF-fixdate that `written` gives back byte by byte.
pub(crate) fn parse(value: &[u8]) -> Option<u64> {
    let text: &[u8; 29] = value.try_into().ok()?;
    let [
        _,
        _,
        _,
        b',',
        b' ',
        d1,
        d2,
        b' ',
        m1,
        m2,
        m3,
        b' ',
        y1,
        y2,
        y3,
        y4,
        b' ',
        clock @ ..,
        b' ',
        b'G',
        b'M',
        b'T',
    ] = text
    else {
        return None;
    };
    let [h1, h2, b':', n1, n2, b':', s1, s2] = clock else {
        return None;
    };
    let month = MONTHS
        .iter()
        .position(|name| name.as_bytes() == [*m1, *m2, *m3])?;
    let year = two(*y1, *y2)? * 100 + two(*y3, *y4)?;
    let (hour, minute, second) = (two(*h1, *h2)?, two(*n1, *n2)?, two(*s1, *s2)?);
    let days = days_before(year, u64::try_from(month).ok()? + 1, two(*d1, *d2)?)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // A day that its month does not have, or another weekday, would be written differently.
    let (_, _, day) = civil(days);
    let weekday = entry(WEEKDAYS, (days + 4) % 7);
    let round_trips = two(*d1, *d2) == Some(day) && value.starts_with(weekday.as_bytes());
    round_trips.then_some(days * DAY + hour * 3_600 + minute * 60 + second)
}

/// The IMF-fixdate of a time. Times after the year 9999 are written with more digits.
pub(crate) fn written(seconds: u64) -> String {
    let (days, clock) = (seconds / DAY, seconds % DAY);
    let (year, month, day) = civil(days);
    // 1 January 1970 was a Thursday.
    let weekday = entry(WEEKDAYS, (days + 4) % 7);
    let month = entry(MONTHS, month - 1);
    let (hour, minute, second) = (clock / 3_600, clock / 60 % 60, clock % 60);
    let mut text = String::with_capacity(29);
    text.push_str(weekday);
    text.push_str(", ");
    push_two(&mut text, day);
    text.push(' ');
    text.push_str(month);
    text.push(' ');
    push_two(&mut text, year / 100);
    push_two(&mut text, year % 100);
    for (mark, number) in [(' ', hour), (':', minute), (':', second)] {
        text.push(mark);
        push_two(&mut text, number);
    }
    text.push_str(" GMT");
    text
}

fn entry(names: &[&'static str], index: u64) -> &'static str {
    usize::try_from(index)
        .ok()
        .and_then(|index| names.get(index))
        .copied()
        .unwrap_or("???")
}

fn push_two(text: &mut String, number: u64) {
    match u8::try_from(number) {
        Ok(small @ 0..=99) => {
            text.push(char::from(b'0' + small / 10));
            text.push(char::from(b'0' + small % 10));
        }
        _ => text.push_str(&number.to_string()),
    }
}

fn two(tens: u8, ones: u8) -> Option<u64> {
    (tens.is_ascii_digit() && ones.is_ascii_digit())
        .then(|| u64::from(tens - b'0') * 10 + u64::from(ones - b'0'))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, counting years from March so that the leap day is last.
fn days_before(year: u64, month: u64, day: u64) -> Option<u64> {
    if year < 1970 || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    (era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year).checked_sub(EPOCH_DAYS)
}

/// Year, month and day of a number of days since 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    // A year number that fits is of no use beyond 9999: 2^50 days keep the sums below from overflowing.
    let days = days.min(1 << 50) + EPOCH_DAYS;
    let (era, of_era) = (days / ERA_DAYS, days % ERA_DAYS);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

const DAY: u64 = 86_400;
/// Days of 400 years.
const ERA_DAYS: u64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: u64 = 719_468;
const MONTHS: &[&str] = &[
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const WEEKDAYS: &[&str] = &["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        for (text, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Thu, 29 Feb 2024 23:59:59 GMT", 1_709_251_199),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(seconds), "{text}");
            assert_eq!(written(seconds), text);
        }
    }

    #[test]
    fn every_day_round_trips() {
        for day in 0..200_000 {
            let seconds = day * DAY + day % DAY;
            assert_eq!(parse(written(seconds).as_bytes()), Some(seconds));
        }
        assert!(parse(written(u64::MAX).as_bytes()).is_none());
    }

    #[test]
    fn what_would_not_round_trip_is_refused() {
        for text in [
            "",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06-Nov-1994 08:49:37 GMT",
            "Thu, 30 Feb 2024 00:00:00 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Wed, 31 Dec 1969 23:59:59 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
