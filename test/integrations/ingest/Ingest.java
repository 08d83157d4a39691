// Runs a label log through an ingest pipeline, with OpenSearch's own processors and scripts,
// and prints the documents. Elasticsearch publishes its processors as no library; those
// that the pipeline uses have the same names and options there.
//
//     java -cp 'LIBRARIES/*' Ingest.java PIPELINE.json < labels.jsonl

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.XContentHelper;
import org.opensearch.common.util.concurrent.ThreadContext;
import org.opensearch.common.xcontent.json.JsonXContent;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.env.Environment;
import org.opensearch.index.VersionType;
import org.opensearch.ingest.IngestDocument;
import org.opensearch.ingest.Pipeline;
import org.opensearch.ingest.Processor;
import org.opensearch.ingest.common.IngestCommonPlugin;
import org.opensearch.painless.PainlessPlugin;
import org.opensearch.script.mustache.MustachePlugin;
import org.opensearch.script.ScriptModule;
import org.opensearch.script.ScriptService;

class Ingest {
    public static void main(String[] args) throws Exception {
        var scripts = new ScriptModule(Settings.EMPTY, List.of(new PainlessPlugin(), new MustachePlugin()));
        var service = new ScriptService(Settings.EMPTY, scripts.engines, scripts.contexts);
        var environment = new Environment(Settings.builder().put("path.home", System.getProperty("java.io.tmpdir")).build(), null);
        var parameters = new Processor.Parameters(environment, service, null, new ThreadContext(Settings.EMPTY), System::nanoTime,
            (delay, command) -> null, null, null, Runnable::run, null);
        var factories = new IngestCommonPlugin().getProcessors(parameters);
        Map<String, Object> config = XContentHelper.convertToMap(JsonXContent.jsonXContent, Files.readString(Path.of(args[0])), true);
        var pipeline = Pipeline.create("serveflow", config, factories, service);
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = lines.readLine()) != null; ) {
            var source = new HashMap<String, Object>(Map.of("message", line));
            var document = new IngestDocument("serveflow-labels", "1", null, null, VersionType.INTERNAL, source);
            pipeline.execute(document, (result, error) -> {
                if (error != null) {
                    throw new RuntimeException(error);
                }
            });
            try (XContentBuilder json = JsonXContent.contentBuilder().map(document.getSourceAndMetadata())) {
                System.out.println(json);
            }
        }
    }
}
