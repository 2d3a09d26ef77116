package org.twinpath.demo

/** What was typed: a gateway, or any server's URL. */
internal sealed interface Target {
    data class Gateway(val host: String, val port: Int) : Target

    data class Web(val url: String) : Target

    companion object {
        /** `null` if it is neither. */
        fun of(typed: String): Target? {
            if (typed.startsWith("https://") || typed.startsWith("http://")) return Web(typed)
            val host = typed.substringBeforeLast(':', "").removeSurrounding("[", "]")
            val port = typed.substringAfterLast(':').toIntOrNull()?.takeIf { it in 1..65535 } ?: return null
            return if (host.isEmpty() || '/' in host) null else Gateway(host, port)
        }
    }
}
