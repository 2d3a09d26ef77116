// The library for Android, as an AAR. The native libraries are put into src/main/jniLibs by bindings/package/android.
plugins {
    id("com.android.library") version "8.13.0"
    kotlin("android") version "2.2.20"
    `maven-publish`
}

group = "org.twinpath"
version = "0.1.0"

android {
    namespace = "org.twinpath.android"
    compileSdk = 36
    defaultConfig {
        minSdk = 26
        consumerProguardFiles("consumer-rules.pro")
        ndk { abiFilters += listOf("arm64-v8a", "armeabi-v7a", "x86_64") }
    }
    sourceSets["main"].kotlin.srcDirs("src/main/kotlin", "../src/main/kotlin", "../generated")
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_11
        targetCompatibility = JavaVersion.VERSION_11
    }
    publishing {
        singleVariant("release") {
            withSourcesJar()
            withJavadocJar()
        }
    }
}

kotlin {
    explicitApi()
    compilerOptions { jvmTarget = org.jetbrains.kotlin.gradle.dsl.JvmTarget.JVM_11 }
}

dependencies {
    api("org.jetbrains.kotlinx:kotlinx-coroutines-android:1.10.2")
    implementation("net.java.dev.jna:jna:5.17.0@aar")
    compileOnly("com.squareup.okhttp3:okhttp:5.1.0")
}

publishing {
    publications {
        register<MavenPublication>("android") {
            artifactId = "twinpath-android"
            afterEvaluate { from(components["release"]) }
            pom {
                name = "Twinpath for Android"
                description = "A connection with cellular backup, for any app"
                url = "https://github.com/twinpath/twinpath"
                licenses {
                    license {
                        name = "MIT"
                        url = "https://opensource.org/license/mit"
                    }
                    license {
                        name = "Apache-2.0"
                        url = "https://www.apache.org/licenses/LICENSE-2.0.txt"
                    }
                }
                developers { developer { name = "The Twinpath authors" } }
                scm { url = "https://github.com/twinpath/twinpath" }
            }
        }
    }
    // A folder that is uploaded from, with checksums.
    repositories {
        maven {
            name = "release"
            url = uri("../../../target/maven")
        }
    }
}
