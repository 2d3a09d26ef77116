package org.twinpath.demo

import java.io.File
import kotlin.math.pow
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

internal class ResourcesTest {
    private val english = Res.strings("values")
    private val french = Res.strings("values-fr")

    private fun placeholders(text: String) = Regex("%\\d\\$[.\\d]*[a-z]").findAll(text).map { it.value }.sorted().toList()

    @Test
    fun `both languages have the same strings with the same arguments`() {
        assertEquals(english.keys.sorted(), french.keys.sorted())
        for ((key, text) in english) assertEquals(placeholders(text), placeholders(french.getValue(key)), key)
    }

    @Test
    fun `every string is used, and said with as many arguments as it has`() {
        val sources = File("../app/src/main/kotlin").walk().filter { it.extension == "kt" }.joinToString { it.readText() }
        val manifest = File("../app/src/main/AndroidManifest.xml").readText()
        for (key in english.keys) {
            assertTrue(Regex("R\\.string\\.$key\\b").containsMatchIn(sources) || "@string/$key\"" in manifest, key)
        }
    }

    @Test
    fun `no string has a quote or an apostrophe that Android would take away`() {
        for (text in english.values + french.values) assertTrue(text.none { it == '\'' || it == '"' }, text)
    }

    @Test
    fun `what is drawn stands out from the page, by 3 to 1 at least, and small text by 4_5 to 1`() {
        for (isNight in listOf(false, true)) {
            val colours = Res.colours(isNight)
            for ((name, colour) in colours - "page") {
                val least = if (name in setOf("text", "soft")) 4.5 else 3.0
                val contrast = contrast(colour, colours.getValue("page"))
                assertTrue(contrast >= least, "$name, night: $isNight: $contrast")
            }
        }
        assertEquals(Res.colours(false).keys, Res.colours(true).keys)
    }

    @Test
    fun `what is typed is a gateway, a URL, or neither`() {
        assertEquals(Target.Gateway("example.com", 443), Target.of("example.com:443"))
        assertEquals(Target.Gateway("2001:db8::1", 443), Target.of("[2001:db8::1]:443"))
        assertEquals(Target.Web("https://example.com/a"), Target.of("https://example.com/a"))
        for (typed in listOf("", "example.com", ":443", "example.com:0", "example.com:65536", "ftp://example.com:21")) {
            assertEquals(null, Target.of(typed), typed)
        }
    }

    /** As WCAG 2.1 defines it. */
    private fun contrast(one: String, other: String): Double {
        val (dark, light) = listOf(luminance(one), luminance(other)).sorted()
        return (light + 0.05) / (dark + 0.05)
    }

    private fun luminance(colour: String): Double {
        val (red, green, blue) = colour.removePrefix("#").chunked(2).map {
            val part = it.toInt(16) / 255.0
            if (part <= 0.04045) part / 12.92 else ((part + 0.055) / 1.055).pow(2.4)
        }
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}
