#!/usr/bin/env bash
# Runs an Apache Kafka broker in the foreground: run.sh DIRECTORY PORT [PROPERTY=VALUE]...
# It keeps its data in the directory and listens on 127.0.0.1: on PORT, on PORT + 1 with
# SASL, and its controller on PORT + 2. With broker.pem (key and certificate) and
# authority.pem in the directory also with TLS: on PORT + 3, on PORT + 4 with certificates
# of clients, and on PORT + 5 with SASL. "make kafka" brings what it needs.
set -euo pipefail
libs=$(dirname "$0")/../../../build/kafka/libs
dir=$1 port=$2
shift 2
mkdir -p "$dir"
listeners=PLAINTEXT://127.0.0.1:$port,SASL_PLAINTEXT://127.0.0.1:$((port + 1))
if [ -e "$dir/broker.pem" ]; then
	listeners+=,TLS://127.0.0.1:$((port + 3)),MUTUAL://127.0.0.1:$((port + 4)),SASL_TLS://127.0.0.1:$((port + 5))
	set -- ssl.keystore.type=PEM "ssl.keystore.location=$dir/broker.pem" \
		ssl.truststore.type=PEM "ssl.truststore.location=$dir/authority.pem" \
		listener.name.mutual.ssl.client.auth=required "$@"
fi
cat >"$dir/server.properties" <<END
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$((port + 2))
controller.listener.names=CONTROLLER
listeners=$listeners,CONTROLLER://127.0.0.1:$((port + 2))
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,TLS:SSL,MUTUAL:SSL,SASL_TLS:SASL_SSL
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
log.dirs=$dir/data
auto.create.topics.enable=false
num.partitions=4
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
group.initial.rebalance.delay.ms=0
END
for name in sasl_plaintext sasl_tls; do
	cat <<END
listener.name.$name.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_serveflow="right";
listener.name.$name.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.$name.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
END
done >>"$dir/server.properties"
printf '%s\n' "$@" >>"$dir/server.properties"
cat >"$dir/log4j2.yaml" <<END
Configuration:
  Appenders:
    Console: {name: out, PatternLayout: {pattern: "%d %p %m (%c)%n"}}
  Loggers:
    Root: {level: WARN, AppenderRef: [{ref: out}]}
END
java=(java -cp "$libs/*" "-Dlog4j2.configurationFile=$dir/log4j2.yaml")
if [ ! -e "$dir/data/meta.properties" ]; then
	"${java[@]}" -Xmx256m kafka.tools.StorageTool format --ignore-formatted --cluster-id MkU3OEVBNTcwNTJENDM2Qg \
		--config "$dir/server.properties" \
		--add-scram 'SCRAM-SHA-256=[name=serveflow,password=right]' \
		--add-scram 'SCRAM-SHA-512=[name=serveflow,password=right]'
fi
exec "${java[@]}" -Xms512m -Xmx512m -XX:+UseG1GC kafka.Kafka "$dir/server.properties"
