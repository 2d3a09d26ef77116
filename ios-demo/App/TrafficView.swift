import DemoModel
import SwiftUI
import Twinpath

/// The chart: bytes of each path, and what happened. Where everything stands, ``ChartLayout`` says.
struct TrafficView: View {
    let chart: TrafficChart
    let palette: Palette
    let language: Language
    let rate: Phrase
    @ScaledMetric(relativeTo: .body) private var height = 190.0

    var body: some View {
        VStack(alignment: .leading, spacing: 6) {
            Text(language.say(.chart)).font(.headline)
            Canvas { context, size in draw(context, size) }
                .frame(height: height)
            HStack {
                Text(language.say(.minuteAgo))
                Spacer()
                Text(language.say(.now))
            }
            .foregroundStyle(.secondary)
            HStack {
                ForEach(Role.allCases, id: \.self) { role in
                    Label(language.say(role.name), systemImage: "square.fill")
                        .foregroundStyle(Color(palette.colour(of: role)))
                }
                Spacer()
                Text(language.say(rate)).monospacedDigit()
            }
        }
        .font(.caption)
    }

    private func draw(_ context: GraphicsContext, _ size: CGSize) {
        let layout = ChartLayout(chart, width: size.width, height: size.height)
        for box in layout.boxes {
            let place = CGRect(x: box.x, y: box.y, width: box.width, height: box.height)
            context.fill(Path(place), with: .color(Color(palette.colour(of: box.role))))
        }
        let base = CGRect(x: 0, y: size.height - 1, width: size.width, height: 1)
        context.fill(Path(base), with: .color(Color(palette.soft)))
        for line in layout.lines {
            let colour = Color(palette.colour(of: line.marker.kind))
            var path = Path()
            path.move(to: CGPoint(x: line.x, y: 0))
            path.addLine(to: CGPoint(x: line.x, y: size.height))
            context.stroke(path, with: .color(colour), style: StrokeStyle(lineWidth: 1, dash: [2, 3]))
            guard let y = line.wordsY else { continue }
            let words = Text(language.say(line.marker.phrase)).font(.caption2).foregroundStyle(colour)
            let place = CGPoint(x: line.x + (line.wordsAreLeft ? -4 : 4), y: y)
            context.draw(words, at: place, anchor: line.wordsAreLeft ? .trailing : .leading)
        }
    }
}
