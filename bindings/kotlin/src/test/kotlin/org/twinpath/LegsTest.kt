package org.twinpath

import java.net.InetAddress
import java.nio.ByteBuffer
import java.util.concurrent.ConcurrentLinkedQueue
import java.util.concurrent.atomic.AtomicInteger
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.delay
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

internal class LegsTest {
    @Test
    fun `legs of the platform carry a stream through the death of wifi`() = inLab {
        val dialled = ConcurrentLinkedQueue<LegTarget>()
        val connector = connector {
            dialer = LegDialer { target, pipe -> dialled += target; PosixDialer.dial(target, pipe) }
        }
        connector.use { it.toGateway() }.use { connection ->
            val data = pattern(3_000_000)
            connection.write(data, 0, 1_500_000)
            val first = connection.readExactly(1_000_000)
            Lab.order("wifi blackhole")
            connection.write(data, 1_500_000)
            assertEquals(hash(data), hash(first + connection.readExactly(2_000_000)))
            assertEquals(Role.BACKUP, connection.stats.active)
            connection.shutdown()
        }
        val (wifi, cellular) = Role.entries.map { role -> dialled.first { it.role == role } }
        assertEquals("wlan0" to InterfaceKind.WIFI, wifi.interfaceName to wifi.kind)
        assertEquals("wwan0" to InterfaceKind.CELLULAR, cellular.interfaceName to cellular.kind)
        assertEquals(Lab.gatewayPort, wifi.port)
        // The server that the first leg reached, whatever its name stands for.
        assertEquals(listOf(InetAddress.getByName(Lab.gatewayHost)), cellular.addresses)
    }

    @Test
    fun `what a dialer says or throws is what a connect fails with`() = inLab {
        suspend fun failing(dial: (LegPipe) -> Unit) = failure {
            connector { dialer = LegDialer { _, pipe -> dial(pipe); Idle() } }.use { it.toGateway() }
        }
        assertEquals(ErrorKind.REFUSED, failing { it.failed(ErrorKind.REFUSED, "nobody listens") }.kind)
        assertEquals(ErrorKind.NAME_NOT_FOUND, failing { it.failed(ErrorKind.NAME_NOT_FOUND, "who?") }.kind)
        val unreachable = failing { it.failed(ErrorKind.OTHER, "by its number", ENETUNREACH) }
        assertEquals(ErrorKind.UNREACHABLE to ENETUNREACH, unreachable.kind to unreachable.osCode)
        val thrown = failing { throw IllegalArgumentException("not today") }
        assertTrue("not today" in thrown.message.orEmpty(), "$thrown")
        // An `Error` is told as well.
        val error = failing { throw NotImplementedError("not yet") }
        assertTrue("not yet" in error.message.orEmpty(), "$error")
    }

    @Test
    fun `a leg that is closed may ask its connection`() = inLab {
        val asked = CompletableDeferred<Long>()
        val current = CompletableDeferred<TwinpathConnection>()
        val connector = connector {
            dialer = LegDialer { target, pipe ->
                val leg = PosixDialer.dial(target, pipe)
                object : PlatformLeg by leg {
                    override fun close(aborted: Boolean) {
                        leg.close(aborted)
                        runBlocking { asked.complete(current.await().stats.written) }
                    }
                }
            }
        }
        connector.use { it.toGateway() }.use { connection ->
            current.complete(connection)
            connection.write("hello".toByteArray())
            connection.readExactly(5)
            // Resets are told while the connection is at work.
            Lab.order("wifi reset")
            while (!asked.isCompleted) {
                connection.write("hello".toByteArray())
                connection.readExactly(5)
            }
            assertTrue(asked.await() >= 5)
        }
    }

    @Test
    fun `fewer bytes than none cannot be sent`() = inLab {
        val told = CompletableDeferred<LegPipe>()
        val failure = failure {
            connector {
                dialer = LegDialer { _, pipe ->
                    told.complete(pipe)
                    assertThrows(IllegalArgumentException::class.java) { pipe.sent(-1) }
                    assertThrows(IllegalArgumentException::class.java) { pipe.connected(null, (-1).seconds) }
                    pipe.failed(ErrorKind.REFUSED, "enough")
                    Idle()
                }
            }.use { it.toGateway() }
        }
        assertEquals(ErrorKind.REFUSED, failure.kind, "$failure")
        // What is told too late is ignored.
        told.await().sent(1)
    }

    @Test
    fun `a leg that gives more than it was asked for fails and nothing is let in`() = inLab {
        val flood = ByteBuffer.allocateDirect(1_000_000)
        val failure = failure {
            connector {
                dialer = LegDialer { _, pipe ->
                    pipe.connected(null, null)
                    object : Idle() {
                        override fun receive(max: Int) {
                            runCatching { pipe.received(flood.duplicate()) }
                        }
                    }
                }
            }.use { it.toGateway() }.use { it.write(byteArrayOf(1)); it.read() }
        }
        // As soon as a leg has failed after it was spoken to, or when none ever brought an answer.
        assertTrue(failure.kind in listOf(ErrorKind.INTERRUPTED, ErrorKind.NOT_A_GATEWAY), "$failure")
    }

    @Test
    fun `legs that are no longer needed are closed once`() = inLab {
        val legs = ConcurrentLinkedQueue<Counted>()
        val connector = connector {
            dialer = LegDialer { target, pipe -> Counted(PosixDialer.dial(target, pipe)).also(legs::add) }
        }
        connector.use { it.toGateway() }.use { connection ->
            connection.write("hello".toByteArray())
            connection.readExactly(5)
            connection.shutdown()
        }
        while (legs.any { it.closes == 0 }) delay(5)
        delay(100)
        legs.forEach { assertEquals(1, it.closes) }
    }

    @Test
    fun `cellular is asked for while a leg uses it and no longer`() = inLab {
        val counted = object : CellularUse {
            val begun = AtomicInteger()
            val ended = AtomicInteger()

            override fun begin() {
                begun.incrementAndGet()
            }

            override fun end() {
                ended.incrementAndGet()
            }
        }
        val connector = connector(Standby.COLD) {
            dialer = null
            cellularUse = counted
        }
        connector.use { it.toGateway() }.use { connection ->
            connection.write("hello".toByteArray())
            connection.readExactly(5)
            assertEquals(0, counted.begun.get())
            Lab.order("wifi blackhole")
            connection.write("again".toByteArray())
            connection.readExactly(5)
            assertEquals(1, counted.begun.get() - counted.ended.get())
            connection.shutdown()
        }
        while (counted.begun.get() > counted.ended.get()) delay(5)
    }

    @Test
    fun `what the platform tells of networks goes before what the system says`() = inLab {
        fun network(name: String, kind: InterfaceKind, cost: Cost = Cost.UNKNOWN) =
            TwinpathNetwork(name, kind, addressesOf(name), cost, hasIpv4 = true, hasIpv6 = false)
        val wifi = network("wlan0", InterfaceKind.WIFI)
        try {
            TwinpathLibrary.setNetworks(listOf(wifi))
            val connector = connector { budgetPerDay = 1_000_000 }
            connector.use { it.toGateway() }.use { connection ->
                assertEquals(Mode.SINGLE_PATH, connection.stats.mode)
                TwinpathLibrary.setNetworks(listOf(wifi, network("wwan0", InterfaceKind.CELLULAR, Cost.METERED)))
                while (!connection.stats.protection.isProtected) delay(5)
                connection.write("hello".toByteArray())
                connection.readExactly(5)
                Lab.order("wifi blackhole")
                connection.write("again".toByteArray())
                assertEquals("again", connection.readExactly(5).decodeToString())
                connection.shutdown()
            }
            Lab.order("wifi heal")
            TwinpathLibrary.setNetworks(listOf(wifi, network("wwan0", InterfaceKind.CELLULAR, Cost.ROAMING)))
            connector { budgetPerDay = 1_000_000 }.use { roaming ->
                roaming.toGateway().use { connection ->
                    // Nothing is spent abroad.
                    while (roaming.budget.remaining != 0L) delay(5)
                    assertEquals(false, connection.stats.protection.isProtected)
                }
            }
            assertEquals(
                ErrorKind.NO_INTERFACE,
                failure {
                    TwinpathLibrary.setNetworks(emptyList())
                    connector { primary = listOf(InterfaceSelector.Named("wlan0")) }.use { it.toGateway() }
                }.kind,
            )
        } finally {
            TwinpathLibrary.setNetworks(null)
        }
    }

    @Test
    fun `a mandated proxy has connections take the way of the system`() = inLab {
        TwinpathLibrary.setProxyMandated(true)
        try {
            connector().use { it.toGateway() }.use { connection ->
                assertEquals(Mode.SINGLE_PATH, connection.stats.mode)
                connection.write("hello".toByteArray())
                connection.readExactly(5)
                assertTrue("proxy" in connection.stats.modeReason, connection.stats.modeReason)
            }
        } finally {
            TwinpathLibrary.setProxyMandated(false)
        }
    }
}

private const val ENETUNREACH = 101

/** Does nothing. */
private open class Idle : PlatformLeg {
    override fun send(bytes: ByteArray) = Unit

    override fun receive(max: Int) = Unit

    override fun finish() = Unit

    override fun close(aborted: Boolean) = Unit
}

private class Counted(private val leg: PlatformLeg) : PlatformLeg by leg {
    @Volatile var closes = 0

    override fun close(aborted: Boolean) {
        closes += 1
        leg.close(aborted)
    }
}

private fun addressesOf(name: String): List<InetAddress> =
    java.net.NetworkInterface.getByName(name).inetAddresses.toList()
