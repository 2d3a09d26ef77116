package org.twinpath.demo

import java.io.BufferedReader
import java.net.UnixDomainSocketAddress
import java.nio.channels.Channels
import java.nio.channels.SocketChannel

/** The world in which the tests run: `in-lab` has made it, and takes orders. */
internal object Lab {
    private val channel by lazy { SocketChannel.open(UnixDomainSocketAddress.of(variable("TWINPATH_LAB"))) }
    private val answers: BufferedReader by lazy { Channels.newInputStream(channel).bufferedReader() }

    val gateway: String get() = variable("TWINPATH_LAB_GATEWAY")
    val http: String get() = variable("TWINPATH_LAB_HTTP")

    @Synchronized
    fun order(order: String): String {
        Channels.newOutputStream(channel).write("$order\n".toByteArray())
        val answer = checkNotNull(answers.readLine()) { "the lab has ended" }
        check(!answer.startsWith("cannot")) { answer }
        return answer
    }

    private fun variable(name: String): String =
        checkNotNull(System.getenv(name)) { "$name is not set: run these tests with android-demo/test" }
}
