package org.twinpath.demo

import android.content.res.Resources

/** A string of the resources and what it is about: what is said is decided here, in which language by the device. */
data class Words(val id: Int, val arguments: List<Any>) {
    constructor(id: Int, vararg arguments: Any) : this(id, arguments.toList())
}

/** As the person in front of the device reads it. Words within words are looked up as well. */
fun Resources.say(words: Words): String =
    getString(words.id, *words.arguments.map { if (it is Words) say(it) else it }.toTypedArray())
