import Twinpath

/// Where everything of a chart is drawn, for a surface of a size: on a screen, or in a picture.
public struct ChartLayout: Sendable {
    public struct Box: Sendable {
        public let role: Role
        public let x, y, width, height: Double
    }

    public struct Line: Sendable {
        public let marker: TrafficChart.Marker
        public let x: Double
        /// Where the words stand: each kind has a row of its own, so that they do not hide each other. `nil` close to
        /// others of the kind.
        public let wordsY: Double?
        /// Whether the words stand to the left of the line, for want of room.
        public let wordsAreLeft: Bool
    }

    /// Room for the words above the bars.
    public static let head = 48.0
    /// Room that the words of a marker take.
    private static let words = 110.0

    public let boxes: [Box]
    public let lines: [Line]

    public init(_ chart: TrafficChart, width: Double, height: Double) {
        let step = width / Double(TrafficChart.count)
        let scale = (height - Self.head) / Double(max(chart.peak, 1))
        boxes = chart.bars.enumerated().flatMap { index, bar in
            var top = height
            return Role.allCases.compactMap { role -> Box? in
                guard bar[role] > 0 else { return nil }
                // A path that carried anything can be seen.
                let tall = max(1, Double(bar[role]) * scale)
                top -= tall
                return Box(role: role, x: Double(index) * step, y: top, width: step, height: tall)
            }
        }
        var free: [TrafficChart.Kind: Double] = [:]
        lines = chart.markers.map { marker in
            let x = (marker.at - chart.start) / TrafficChart.bucket * step
            let row = TrafficChart.Kind.allCases.firstIndex(of: marker.kind)!
            let isFree = x >= free[marker.kind] ?? 0
            if isFree { free[marker.kind] = x + Self.words }
            return Line(
                marker: marker, x: x, wordsY: isFree ? 12 + 16 * Double(row) : nil, wordsAreLeft: x > width * 0.66)
        }
    }
}
