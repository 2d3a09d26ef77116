package org.twinpath.okhttp

import io.ktor.client.HttpClient
import io.ktor.client.engine.okhttp.OkHttp
import io.ktor.client.request.prepareGet
import io.ktor.client.statement.bodyAsChannel
import io.ktor.utils.io.readByteArray
import io.ktor.utils.io.readRemaining
import kotlinx.io.readByteArray
import okhttp3.OkHttpClient
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test
import org.twinpath.Lab
import org.twinpath.hash
import org.twinpath.inLab

internal class KtorTest {
    private suspend fun download(over: OkHttpClient, url: String) =
        HttpClient(OkHttp) { engine { preconfigured = over } }.use { client ->
            client.prepareGet(url).execute { response ->
                assertEquals(200, response.status.value)
                val body = response.bodyAsChannel()
                val first = body.readByteArray(1_500_000)
                Lab.order("wifi blackhole")
                assertEquals(Lab.order("hash 4 6000000"), hash(first + body.readRemaining().readByteArray()))
                Lab.order("wifi heal")
            }
        }

    @Test
    fun `downloads of Ktor outlive wifi towards any server and behind a gateway`() = inLab {
        download(intercepting(), "${Lab.https}file?id=ktor&size=6000000&seed=4")
        download(overSockets(), "${Lab.behind}file?size=6000000&seed=4")
    }
}
