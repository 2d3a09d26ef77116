package org.twinpath

import java.io.BufferedReader
import java.io.File
import java.net.UnixDomainSocketAddress
import java.nio.channels.Channels
import java.nio.channels.SocketChannel
import java.security.MessageDigest
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout

/** The world in which the tests run: `in-lab` has made it, and takes orders. */
internal object Lab {
    private val channel by lazy { SocketChannel.open(UnixDomainSocketAddress.of(variable("TWINPATH_LAB"))) }
    private val answers: BufferedReader by lazy { Channels.newInputStream(channel).bufferedReader() }

    val gatewayHost: String get() = variable("TWINPATH_LAB_GATEWAY").substringBeforeLast(':')
    val gatewayPort: Int get() = variable("TWINPATH_LAB_GATEWAY").substringAfterLast(':').toInt()
    val key: ByteArray get() = variable("TWINPATH_LAB_KEY").chunked(2) { it.toString().toInt(16).toByte() }.toByteArray()
    val http: String get() = variable("TWINPATH_LAB_HTTP")
    val https: String get() = variable("TWINPATH_LAB_HTTPS")
    val behind: String get() = variable("TWINPATH_LAB_BEHIND")
    val root: String get() = File(variable("TWINPATH_LAB_ROOT")).readText()

    /** Gives an order, and has the answer. */
    @Synchronized
    fun order(order: String): String {
        Channels.newOutputStream(channel).write("$order\n".toByteArray())
        val answer = checkNotNull(answers.readLine()) { "the lab has ended" }
        check(!answer.startsWith("cannot")) { answer }
        return answer
    }

    private fun variable(name: String): String =
        checkNotNull(System.getenv(name)) { "$name is not set: run these tests with bindings/kotlin/test" }
}

/** Runs a test that ends within a minute, and leaves the links as they were. */
internal fun inLab(limit: Duration = 60.seconds, test: suspend CoroutineScope.() -> Unit) {
    try {
        runBlocking(Dispatchers.Default) { withTimeout(limit) { test() } }
    } finally {
        Lab.order("wifi heal")
        Lab.order("cellular heal")
    }
}

/** Who opens the legs in all tests: the library, or something else that the environment asks for. */
internal val legs: LegDialer? = if (System.getenv("TWINPATH_TEST_LEGS") == "injected") PosixDialer else null

/** A connector for any server. */
internal fun anyServer(options: TwinpathOptions.() -> Unit = {}) =
    TwinpathConnector {
        dialer = legs
        options()
    }

/** A connector for the lab's gateway. */
internal fun connector(standby: Standby = Standby.WARM, options: TwinpathOptions.() -> Unit = {}) =
    anyServer {
        peer = Peer.GATEWAY
        this.standby = standby
        budgetPerDay = null
        options()
    }

internal suspend fun TwinpathConnector.toGateway() = connect(Lab.gatewayHost, Lab.gatewayPort)

/** Bytes that differ from place to place. */
internal fun pattern(size: Int, seed: Int = 1): ByteArray {
    val random = java.util.Random(seed.toLong())
    return ByteArray(size).also(random::nextBytes)
}

internal fun hash(bytes: ByteArray): String =
    MessageDigest.getInstance("SHA-256").digest(bytes).joinToString("") { "%02x".format(it) }

/** Exactly so many bytes. */
internal suspend fun TwinpathConnection.readExactly(size: Int): ByteArray {
    val all = ByteArray(size)
    var filled = 0
    while (filled < size) {
        val piece = checkNotNull(read(minOf(PIECE, size - filled))) { "it ended after $filled bytes" }
        piece.copyInto(all, filled)
        filled += piece.size
    }
    return all
}
