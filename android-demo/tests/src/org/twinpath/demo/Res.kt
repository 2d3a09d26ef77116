package org.twinpath.demo

import java.io.File
import javax.xml.parsers.DocumentBuilderFactory
import org.w3c.dom.Element

/** The resources of the app, read from their files. */
internal object Res {
    private val folder = File("../app/src/main/res")
    private val names = (R.string::class.java.fields + R.color::class.java.fields)
        .filter { it.type == Int::class.java }
        .associate { it.getInt(null) to it.name }

    fun strings(folder: String): Map<String, String> = values("$folder/strings.xml", "string")

    fun colours(isNight: Boolean): Map<String, String> =
        values(if (isNight) "values-night/colors.xml" else "values/colors.xml", "color")

    fun name(id: Int): String = names.getValue(id)

    /** As Android's `getString`. */
    fun say(words: Words, folder: String = "values"): String {
        val arguments = words.arguments.map { if (it is Words) say(it, folder) else it }
        return strings.getOrPut(folder) { strings(folder) }.getValue(name(words.id)).format(*arguments.toTypedArray())
    }

    private val strings = mutableMapOf<String, Map<String, String>>()

    private fun values(file: String, tag: String): Map<String, String> {
        val items = DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(File(folder, file))
            .getElementsByTagName(tag)
        return (0 until items.length).map { items.item(it) as Element }
            .associate { it.getAttribute("name") to it.textContent.replace("\\n", "\n") }
    }
}
