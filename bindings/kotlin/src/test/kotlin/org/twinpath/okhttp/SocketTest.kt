package org.twinpath.okhttp

import java.io.IOException
import java.net.ConnectException
import java.net.InetSocketAddress
import java.net.SocketException
import java.net.SocketTimeoutException
import kotlin.concurrent.thread
import kotlin.system.measureTimeMillis
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.twinpath.Lab
import org.twinpath.connector
import org.twinpath.inLab
import org.twinpath.openSockets
import org.twinpath.pattern

internal class SocketTest {
    private fun socket() = connector().use { TwinpathSocketFactory(it).createSocket(Lab.gatewayHost, Lab.gatewayPort) }

    @Test
    fun `reads of every size give the bytes in order`() = inLab {
        socket().use { socket ->
            val data = pattern(3_000_000)
            thread { socket.outputStream.write(data) }
            val sizes = java.util.Random(2)
            val got = ByteArray(data.size)
            var size = 0
            while (size < data.size) {
                val length = minOf(listOf(1, 5, 8192, 20_000, 100_000)[sizes.nextInt(5)], data.size - size)
                size += socket.inputStream.read(got, size, length).also { assertTrue(it in 1..length) }
            }
            assertArrayEquals(data, got)
            assertEquals(0, socket.inputStream.available())
            socket.shutdownOutput()
            assertEquals(-1, socket.inputStream.read())
        }
    }

    @Test
    fun `what can be read without waiting is told`() = inLab {
        socket().use { socket ->
            socket.outputStream.write(ByteArray(100))
            while (socket.inputStream.available() == 0) Thread.sleep(1)
            assertEquals(100, socket.inputStream.available())
            assertEquals(100, socket.inputStream.read(ByteArray(200)))
            var ended: Result<Int>? = null
            val reading = thread { ended = runCatching { socket.inputStream.read() } }
            while (reading.state == Thread.State.RUNNABLE) Thread.sleep(1)
            // Whoever asks does not wait for whoever reads.
            assertEquals(0, socket.inputStream.available())
            socket.close()
            reading.join()
            assertTrue(ended?.exceptionOrNull() is IOException, "$ended")
            assertThrows(SocketException::class.java) { socket.inputStream }
        }
    }

    @Test
    fun `a read that waits has its end when the input is shut down`() = inLab {
        socket().use { socket ->
            var ended: Result<Int>? = null
            val reading = thread { ended = runCatching { socket.inputStream.read() } }
            while (reading.state == Thread.State.RUNNABLE) Thread.sleep(1)
            socket.shutdownInput()
            reading.join(5_000)
            assertEquals(Result.success(-1), ended)
            assertEquals(-1, socket.inputStream.read())
            // The other direction goes on.
            socket.outputStream.write(1)
        }
    }

    @Test
    fun `what a socket is asked for opens none of the system`() {
        connector().use { connector ->
            val before = openSockets()
            // One that is not connected: no leg of it comes meanwhile.
            val socket = TwinpathSocketFactory(connector).createSocket()
            val asked = listOf(socket.sendBufferSize, socket.receiveBufferSize, socket.trafficClass, socket.soLinger)
            assertEquals(4, asked.size)
            assertTrue(!socket.reuseAddress && !socket.oobInline && !socket.keepAlive && socket.tcpNoDelay)
            assertThrows(SocketException::class.java) { socket.sendUrgentData(1) }
            assertThrows(SocketException::class.java) { socket.bind(null) }
            // What other tests had may be going meanwhile.
            assertTrue(openSockets() <= before)
        }
    }

    @Test
    fun `nonsense is refused as sockets do`() {
        connector().use { connector ->
            val sockets = TwinpathSocketFactory(connector)
            assertThrows(ConnectException::class.java) { sockets.createSocket("192.0.2.1", 0) }
            val address = InetSocketAddress("192.0.2.1", 1)
            assertThrows(IllegalArgumentException::class.java) { sockets.createSocket().connect(address, -1) }
        }
    }

    @Test
    fun `closing from elsewhere ends a connect`() = inLab {
        Lab.order("wifi blackhole")
        Lab.order("cellular blackhole")
        connector().use { connector ->
            val socket = TwinpathSocketFactory(connector).createSocket()
            val before = openSockets()
            thread {
                while (openSockets() == before) Thread.sleep(1)
                socket.close()
            }
            val address = InetSocketAddress.createUnresolved(Lab.gatewayHost, Lab.gatewayPort)
            val took = measureTimeMillis { assertThrows(SocketException::class.java) { socket.connect(address, 10_000) } }
            assertTrue(took < 2000, "$took ms")
            while (openSockets() > before) Thread.sleep(1)
        }
    }

    @Test
    fun `what comes as a read times out is still there`() = inLab {
        socket().use { socket ->
            val count = 3_000
            val talking = thread {
                repeat(count) {
                    socket.outputStream.write(byteArrayOf((it ushr 8).toByte(), it.toByte()))
                    Thread.sleep(1)
                }
            }
            socket.soTimeout = 1
            var late = 0
            var size = 0
            val got = ByteArray(count * 2)
            while (size < got.size) {
                try {
                    size += socket.inputStream.read(got, size, got.size - size)
                } catch (gone: SocketTimeoutException) {
                    late++
                    if (socket.soTimeout > 1) throw AssertionError("$size of ${got.size} came", gone)
                    // What is missing now is lost.
                    if (!talking.isAlive) socket.soTimeout = 2000
                }
            }
            val sent = ByteArray(got.size) { (if (it % 2 == 0) it / 2 ushr 8 else it / 2).toByte() }
            assertArrayEquals(sent, got)
            assertTrue(late > 100, "$late")
        }
    }
}
