package org.twinpath.demo

import java.util.Locale

/** The screen as MainActivity lays it out, without its widgets: of the same words, the same shapes and the same colours. */
internal fun svg(screen: Screen, server: String, isNight: Boolean): String = Svg(isNight).draw(screen, server)

private class Svg(isNight: Boolean) {
    private val colours = Res.colours(isNight)
    private val parts = StringBuilder()
    private var y = 0f

    fun draw(screen: Screen, server: String): String {
        text(Words(R.string.app_name), 20f, bold = true)
        field(R.string.server, server.replace(Regex("^[^:/]+(?=:)"), "gateway.example"))
        field(R.string.service, Res.say(words(org.twinpath.ServiceType.HANDOVER)))
        button(if (screen.state.isActive) R.string.stop else R.string.start)
        text(words(screen), 16f)
        screen.echo?.let { text(it, 14f) }
        y += 8
        legend()
        chart(screen.picture)
        text(screen.budget, 14f)
        field(R.string.budget, Res.say(limit(screen.perDay)))
        field(R.string.trouble, Res.say(words(screen.trouble)))
        text(Words(R.string.log), 14f, "soft")
        button(R.string.share)
        screen.log.takeLast(LOG).reversed().forEach { text(it, 12f) }
        val height = y + MARGIN
        return """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 $WIDTH ${height.short}" width="$WIDTH" """ +
            "height=\"${height.short}\" font-family=\"Roboto, system-ui, sans-serif\">\n" +
            "<rect width=\"$WIDTH\" height=\"${height.short}\" fill=\"${colours["page"]}\"/>\n$parts</svg>\n"
    }

    private fun text(words: Words, size: Float, colour: String = "text", bold: Boolean = false) {
        for (line in Res.say(words).lines().flatMap { wrapped(it, ((WIDTH - 2 * MARGIN) / size * 2.2f).toInt()) }) {
            y += size * 1.4f
            write(line, MARGIN, y, size, colour, bold = bold)
        }
        y += size * 0.4f
    }

    private fun field(label: Int, value: String) {
        text(Words(label), 12f, "soft")
        y += 18
        write(value, MARGIN, y, 16f, "text")
        y += 8
        parts.append("<rect x=\"$MARGIN\" y=\"${y.short}\" width=\"${WIDTH - 2 * MARGIN}\" height=\"1\" fill=\"${colours["soft"]}\"/>\n")
        y += 8
    }

    private fun button(label: Int) {
        parts.append(
            "<rect x=\"$MARGIN\" y=\"${y.short}\" width=\"${WIDTH - 2 * MARGIN}\" height=\"36\" rx=\"4\" fill=\"none\" stroke=\"${colours["wifi"]}\"/>\n",
        )
        write(Res.say(Words(label)), WIDTH / 2, y + 23, 14f, "wifi", "middle", bold = true)
        y += 44
    }

    private fun legend() {
        y += 16
        write(Res.say(Words(R.string.wifi)), MARGIN, y, 14f, "wifi", bold = true)
        write(Res.say(Words(R.string.cellular)), MARGIN + 56, y, 14f, "cellular", bold = true)
    }

    private fun chart(picture: Picture) {
        parts.append("<g role=\"img\"><title>${escaped(Res.say(words(picture)))}</title>\n")
        val top = y + 8
        for (shape in shapes(picture, WIDTH - 2 * MARGIN, CHART, 12f)) {
            when (shape) {
                is Shape.Box -> parts.append(
                    "<rect x=\"${(MARGIN + shape.left).short}\" y=\"${(top + shape.top).short}\" width=\"${(shape.right - shape.left).short}\" " +
                        "height=\"${(shape.bottom - shape.top).short}\" fill=\"${colours[Res.name(shape.colour)]}\"/>\n",
                )
                is Shape.Line -> parts.append(
                    "<line x1=\"${(MARGIN + shape.x).short}\" x2=\"${(MARGIN + shape.x).short}\" y1=\"${(top + shape.top).short}\" " +
                        "y2=\"${(top + shape.bottom).short}\" stroke=\"${colours[Res.name(shape.colour)]}\" stroke-width=\"1.5\" stroke-dasharray=\"4 3\"/>\n",
                )
                is Shape.Label -> write(
                    Res.say(shape.words), MARGIN + shape.x, top + shape.y, 12f, Res.name(shape.colour), if (shape.isAtEnd) "end" else "start",
                )
            }
        }
        parts.append("</g>\n")
        y = top + CHART + 8
    }

    private fun write(text: String, x: Float, y: Float, size: Float, colour: String, anchor: String = "start", bold: Boolean = false) {
        val weight = if (bold) " font-weight=\"600\"" else ""
        parts.append("<text x=\"${x.short}\" y=\"${y.short}\" font-size=\"${size.short}\" fill=\"${colours[colour]}\" text-anchor=\"$anchor\"$weight>${escaped(text)}</text>\n")
    }

    private fun wrapped(line: String, letters: Int): List<String> =
        line.split(' ').fold(listOf("")) { lines, word ->
            val last = lines.last()
            if (last.isEmpty() || last.length + 1 + word.length > letters) {
                if (last.isEmpty()) lines.dropLast(1) + word else lines + word
            } else {
                lines.dropLast(1) + "$last $word"
            }
        }

    private fun escaped(text: String) = text.replace("&", "&amp;").replace("<", "&lt;")

    private val Float.short: String get() = "%.2f".format(Locale.ROOT, this).trimEnd('0').trimEnd('.')

    private companion object {
        const val WIDTH = 400f
        const val MARGIN = 16f
        const val CHART = 240f
        const val LOG = 8
    }
}
