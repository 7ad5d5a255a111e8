package drydock.delta

import java.io.{FileNotFoundException, IOException}
import java.lang.{Boolean => JavaBoolean}
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.FileAlreadyExistsException
import java.util.{Iterator => JavaIterator, UUID}

import scala.annotation.tailrec
import scala.collection.JavaConverters._

import io.delta.storage.S3SingleDriverLogStore
import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{FileSystem, Path}

/** Delta's log on S3 for any number of writers: a version's file is made by one conditional PUT (`If-None-Match: *`),
  * which S3 grants to one of those that race for it. Delta's own store for S3 looks first and writes then, which is safe
  * within one JVM only: two of them overwrite each other's commits, and both report success.
  *
  * A PUT can succeed and its answer be lost. Whoever repeats it, as the AWS SDK does by itself, is told that the file
  * is there already. So every file bears the id of the write that made it, as metadata of the object, and a write that is
  * refused looks whose file it met: its own is a success, another's the conflict for which Delta tries the next version.
  *
  * Needs S3A of Hadoop 3.4.2 or newer, as EMR has it from release 7.10 on; an older one refuses the option, and the
  * commit fails.
  */
class ConditionalS3LogStore(configuration: Configuration) extends S3SingleDriverLogStore(configuration) {
  import ConditionalS3LogStore._

  override def write(
      path: Path,
      actions: JavaIterator[String],
      overwrite: JavaBoolean,
      configuration: Configuration): Unit =
    if (overwrite) super.write(path, actions, overwrite, configuration)
    else {
      // Whole before the first byte is sent: an iterator that fails must not leave half a version.
      val content = actions.asScala.map(_ + "\n").mkString.getBytes(UTF_8)
      create(path.getFileSystem(configuration), path, content, UUID.randomUUID.toString, Attempts)
    }

  @tailrec
  private def create(files: FileSystem, path: Path, content: Array[Byte], id: String, attempts: Int): Unit =
    refusal(put(files, path, content, id)) match {
      case None => ()
      case Some(refused) =>
        maker(files, path) match {
          case Some(`id`) => ()
          case Some(_) => throw conflict(path, refused)
          // S3 answers 409 when a conditional request met another that did not come to anything.
          case None if attempts > 1 => create(files, path, content, id, attempts - 1)
          case None => throw refused
        }
    }

  private def refusal(write: => Unit): Option[IOException] =
    try {
      write
      None
    } catch { case refused: IOException => Some(refused) }

  private def put(files: FileSystem, path: Path, content: Array[Byte], id: String): Unit = {
    val stream = files
      .createFile(path)
      .overwrite(true)
      .must("fs.option.create.conditional.overwrite", true)
      .must(s"fs.s3a.create.header.$IdName", id)
      .build()
    try stream.write(content)
    catch {
      case failure: Throwable =>
        stream.abort() // closing it would make the object
        throw failure
    }
    stream.close()
  }

  /** The id of the write that made the file; empty for a file of another store, None when there is no file. */
  private def maker(files: FileSystem, path: Path): Option[String] =
    try Some(Option(files.getXAttrs(path).get(s"header.$IdName")).fold("")(new String(_, UTF_8)))
    catch { case _: FileNotFoundException => None }

  private def conflict(path: Path, cause: IOException): FileAlreadyExistsException = {
    val conflict = new FileAlreadyExistsException(path.toString)
    conflict.initCause(cause)
    conflict
  }
}

object ConditionalS3LogStore {
  /** The object's metadata under which the id is kept (`x-amz-meta-...`). */
  private val IdName = "drydock-write-id"
  private val Attempts = 3
}
