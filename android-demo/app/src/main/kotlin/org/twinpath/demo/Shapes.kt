package org.twinpath.demo

import kotlin.math.floor

/** What the chart is drawn of, on whatever surface. Colours are those of the resources. */
sealed interface Shape {
    data class Box(val left: Float, val top: Float, val right: Float, val bottom: Float, val colour: Int) : Shape

    /** Upright. */
    data class Line(val x: Float, val top: Float, val bottom: Float, val colour: Int) : Shape

    /** [y] is the line that the letters stand on; [isAtEnd]: [x] is where they end. */
    data class Label(val x: Float, val y: Float, val words: Words, val colour: Int, val isAtEnd: Boolean = false) : Shape
}

/** Lays the chart out: labels of markers in rows above the bars, the newest bar at the right edge. Lengths are in pixels. */
fun shapes(picture: Picture, width: Float, height: Float, text: Float): List<Shape> {
    val shapes = mutableListOf<Shape>()
    val row = text * 1.4f
    val top = row * (ROWS + 1)
    val bottom = height - row
    val step = width / Chart.BUCKETS
    val scale = (bottom - top) / maxOf(picture.peak, 1)
    shapes += Shape.Box(0f, bottom, width, bottom + 1, R.color.soft)
    picture.bars.forEachIndexed { place, bar ->
        // Of whole pixels, so that no seam shows between them.
        val left = floor(place * step)
        val right = floor((place + 1) * step)
        val middle = bottom - bar.primary * scale
        if (bar.primary > 0) shapes += Shape.Box(left, middle, right, bottom, R.color.wifi)
        if (bar.backup > 0) shapes += Shape.Box(left, middle - bar.backup * scale, right, middle, R.color.cellular)
    }
    val rows = List(ROWS) { mutableListOf<ClosedFloatingPointRange<Float>>() }
    // Hedges are many on a restless path: the others choose their places first.
    picture.markers.sortedBy { it.kind == Picture.Kind.HEDGE }.forEach { marker ->
        val x = width * (1 - ((picture.end - marker.at) / Chart.WINDOW).toFloat())
        val colour = when (marker.kind) {
            Picture.Kind.HEDGE -> R.color.soft
            Picture.Kind.FAILOVER -> R.color.fault
            Picture.Kind.FAILBACK -> R.color.good
        }
        val long = text * LETTERS
        val isAtEnd = x + long > width
        val needed = if (isAtEnd) x - long..x else x..x + long
        // A label without a place is left out: the line stays, and the log tells.
        val place = rows.indexOfFirst { row -> row.none { it.start < needed.endInclusive && needed.start < it.endInclusive } }
        shapes += Shape.Line(x, if (place < 0) top else row * (place + 0.4f), bottom, colour)
        if (place >= 0) {
            rows[place] += needed
            val gap = if (isAtEnd) -text / 4 else text / 4
            shapes += Shape.Label(x + gap, row * (place + 1), words(marker), colour, isAtEnd)
        }
    }
    val rate = picture.peak * 8 / 1e6 / (Chart.BUCKET.inWholeMilliseconds / 1000.0)
    shapes += Shape.Label(0f, top - text / 4, Words(R.string.rate, rate), R.color.soft)
    shapes += Shape.Label(0f, height - text / 4, Words(R.string.a_minute_ago), R.color.soft)
    shapes += Shape.Label(width, height - text / 4, Words(R.string.right_now), R.color.soft, isAtEnd = true)
    return shapes
}

private const val ROWS = 4
/** Of the longest label, in heights of the text. */
private const val LETTERS = 9
