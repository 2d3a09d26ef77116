import Twinpath

/// What went over each path in the last minute, and what happened meanwhile. It has no clock: whoever fills it says when.
public struct TrafficChart: Sendable, Equatable {
    /// The time that one bar stands for.
    public static let bucket = Duration.milliseconds(250)
    /// Bars in the window of 60 s.
    public static let count = 240

    /// Bytes, sent and received, of each path.
    public struct Bar: Sendable, Equatable {
        public var primary: Int64 = 0
        public var backup: Int64 = 0
        public var sum: Int64 { primary + backup }

        public subscript(role: Role) -> Int64 {
            get { role == .primary ? primary : backup }
            set { if role == .primary { primary = newValue } else { backup = newValue } }
        }
    }

    public enum Kind: Sendable, Equatable, CaseIterable {
        case hedge, failover, failback
    }

    /// Something that happened, as the SDK told it.
    public struct Marker: Sendable, Equatable {
        public let at: Duration
        public let kind: Kind
        /// For how long nothing moved, where the SDK has measured it.
        public internal(set) var stall: Duration?
    }

    /// The same that happens to several connections within this time is one marker.
    private static let together = Duration.seconds(1)

    private var ring = [Bar](repeating: Bar(), count: count)
    private var newest = 0
    private var seen: [Int: [Role: Int64]] = [:]
    /// The markers in the window, the oldest first.
    public private(set) var markers: [Marker] = []
    /// All bytes since the beginning.
    public private(set) var total = Bar()

    public init() {}

    /// Takes what a source has carried in all, up to this moment. Where a total is smaller than before, its counter has
    /// begun anew, and everything in it is new.
    public mutating func record(_ source: Int, _ totals: [Role: Int64], at time: Duration) {
        advance(to: time)
        for (role, now) in totals {
            let before = seen[source]?[role] ?? 0
            let more = now < before ? now : now - before
            ring[newest % Self.count][role] += more
            total[role] += more
            seen[source, default: [:]][role] = now
        }
    }

    /// The source has ended; its last totals were recorded.
    public mutating func forget(_ source: Int) {
        seen[source] = nil
    }

    public mutating func mark(_ kind: Kind, stall: Duration? = nil, at time: Duration) {
        advance(to: time)
        if let last = markers.lastIndex(where: { $0.kind == kind }), time - markers[last].at < Self.together {
            lengthen(last, stall)
        } else {
            markers.append(Marker(at: time, kind: kind, stall: stall))
        }
    }

    /// Something moved again after the last of a kind, and its whole stall is known.
    public mutating func recovered(from kind: Kind, stall: Duration) {
        if let last = markers.lastIndex(where: { $0.kind == kind }) { lengthen(last, stall) }
    }

    /// Lets time go by. What is older than the window is gone; time does not go back.
    public mutating func advance(to time: Duration) {
        let bucket = max(newest, Int(time / Self.bucket))
        for passed in (max(newest, bucket - Self.count) + 1)..<(bucket + 1) { ring[passed % Self.count] = Bar() }
        newest = bucket
        let start = start
        markers.removeAll { $0.at < start }
    }

    /// The beginning of the first bar.
    public var start: Duration { Self.bucket * (newest + 1 - Self.count) }

    /// All bars, the oldest first.
    public var bars: [Bar] {
        (1...Self.count).map { ring[(newest + $0) % Self.count] }
    }

    /// The most bytes in one bar.
    public var peak: Int64 { ring.map(\.sum).max() ?? 0 }

    private mutating func lengthen(_ marker: Int, _ stall: Duration?) {
        guard let stall else { return }
        markers[marker].stall = max(markers[marker].stall ?? .zero, stall)
    }
}
