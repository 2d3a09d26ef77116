import Twinpath

/// A colour, as in 0x2563eb.
public struct Colour: Sendable, Hashable {
    public let rgb: UInt32

    public init(_ rgb: UInt32) { self.rgb = rgb }

    /// From 0 to 1.
    public var parts: (red: Double, green: Double, blue: Double) {
        func part(_ shift: UInt32) -> Double { Double(rgb >> shift & 0xff) / 255 }
        return (part(16), part(8), part(0))
    }
}

/// The colours, by light and in the dark: those of the report of `twinpath demo`.
public struct Palette: Sendable {
    public let page, card, text, soft, wifi, cellular, alarm, good: Colour

    public static let light = Palette(
        page: Colour(0xf6f7f9), card: Colour(0xffffff), text: Colour(0x12161c), soft: Colour(0x596273),
        wifi: Colour(0x2563eb), cellular: Colour(0xe8590c), alarm: Colour(0xc92a2a), good: Colour(0x2b8a3e))
    public static let dark = Palette(
        page: Colour(0x0d1015), card: Colour(0x151a21), text: Colour(0xe9edf3), soft: Colour(0x97a1b2),
        wifi: Colour(0x6ea1ff), cellular: Colour(0xff9a4d), alarm: Colour(0xff7b7b), good: Colour(0x69db7c))

    public func colour(of role: Role) -> Colour { role == .primary ? wifi : cellular }

    public func colour(of kind: TrafficChart.Kind) -> Colour {
        switch kind {
        case .hedge: soft
        case .failover: alarm
        case .failback: good
        }
    }
}
