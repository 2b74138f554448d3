"""Runs boto3 calls for a test: reads {"service", "operation", "parameters"} a line, answers {"result"} or {"error"}."""
import json
import sys

import boto3
import botocore.exceptions

clients = {}
for line in sys.stdin:
    call = json.loads(line)
    client = clients.setdefault(call["service"], None) or boto3.client(call["service"])
    clients[call["service"]] = client
    try:
        result = getattr(client, call["operation"])(**call["parameters"])
        answer = {"result": result}
    except botocore.exceptions.ClientError as error:
        answer = {"error": type(error).__name__, "message": str(error)}
    print(json.dumps(answer, default=str), flush=True)
