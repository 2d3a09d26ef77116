package org.twinpath

import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

// The example of the README.
suspend fun hello(host: String, port: Int) {
    TwinpathConnection.connect(host, port) { peer = Peer.GATEWAY }.use { connection ->
        connection.write("hello".toByteArray())
        println(connection.read()?.decodeToString())
        println("worst stall: ${connection.shutdown().worstStall}")
    }
}

// The same for requests to any web server.
suspend fun fetch(client: TwinpathHttpClient, url: String, file: File) {
    client.get(url).use { response ->
        response.saveTo(file)
        println(response.summary) // which path carried what, and what it cost
    }
}

internal class ReadmeTest {
    @Test
    fun `the examples of the README are these and run`() = inLab {
        val here = File("src/test/kotlin/org/twinpath/ReadmeTest.kt").readText()
        val examples = File("../../README.md").readText().split("```kotlin\n").drop(1).map { it.substringBefore("```") }
        assertEquals(2, examples.size)
        examples.forEach { assertTrue(it in here, "not compiled: $it") }
        hello(Lab.gatewayHost, Lab.gatewayPort)
        val file = File.createTempFile("twinpath", null)
        try {
            fetch(TwinpathHttpClient(TwinpathConnector()), "${Lab.http}file?size=1000&seed=1", file)
            assertEquals(Lab.order("hash 1 1000"), hash(file.readBytes()))
        } finally {
            file.delete()
        }
    }
}
