"""Users and access rules by Kafka's own tools, over SASL without TLS."""

from harness import equal, want
from peers import tool


def run(t):
    users = t.work / "acls-users.yaml"
    users.write_text("admin: {password: root-secret, super: true}\n")
    b = None
    with t.check("a broker with SCRAM and rules"):
        b = t.start("acls", extra=["--kafka.sasl.mechanisms", "SCRAM-SHA-512", "--auth.users-file", users, "--auth.acl"],
                    env={"TARN_USER": "admin", "TARN_PASSWORD": "root-secret"})
    if b is None:
        return
    root, alice = login(t, "admin", "root-secret"), login(t, "alice", "alice-secret")

    def command(name, *args, ok=(0,), as_user=root, stdin=None, package="org.apache.kafka.tools.", config="--command-config"):
        return tool(b, name, config, as_user, *args, ok=ok, stdin=stdin, package=package)

    def write(topic, value, ok):
        command("ConsoleProducer", "--topic", topic, "--command-property", "max.block.ms=8000", as_user=alice,
                stdin=f"{value}\n".encode(), ok=ok)

    def log(topic):
        return [l for l in command("consumer.ConsoleConsumer", "--topic", topic, "--from-beginning", "--timeout-ms", "4000") if l]
    with t.check("ConfigCommand makes a user, AclCommand adds, lists and removes rules", seconds=150):
        command("ConfigCommand", "--alter", "--entity-type", "users", "--entity-name", "alice",
                "--add-config", "SCRAM-SHA-512=[iterations=8192,password=alice-secret]", package="kafka.admin.")
        for name in ("mine", "theirs"):
            command("TopicCommand", "--create", "--topic", name)
        command("AclCommand", "--add", "--allow-principal", "User:alice", "--producer", "--topic", "mine")
        listed = " ".join(command("AclCommand", "--list"))
        for operation in ("WRITE", "DESCRIBE", "CREATE"):
            want(f"(principal=User:alice, host=*, operation={operation}, permissionType=ALLOW)" in listed, f"listed are {listed}")
        write("mine", "allowed", (0,))
        write("theirs", "refused", (0, 1))
        equal((log("mine"), log("theirs")), (["allowed"], []), "what came to lie in the logs")
        command("AclCommand", "--remove", "--force", "--allow-principal", "User:alice", "--producer", "--topic", "mine")
        want("alice" not in " ".join(command("AclCommand", "--list")), "the rules are still listed")
        write("mine", "too late", (0, 1))
        equal(log("mine"), ["allowed"], "what came to lie in the log afterwards")


def login(t, user, password):
    path = t.work / f"acls-{user}.properties"
    path.write_text("security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-512\nsasl.jaas.config="
                    f'org.apache.kafka.common.security.scram.ScramLoginModule required username="{user}" password="{password}";\n')
    return str(path)
